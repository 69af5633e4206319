"""How the sync twin of every async overlay in template/ is written."""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

# Files written by hand in both overlays, as paths relative to the overlay folder: those where the
# two differ by more than words (a lifespan, a timeout, anything that needs asyncio itself).
HAND_WRITTEN = frozenset({"{{ package_name }}/db/runtime.py", "{{ package_name }}/web/database.py"})

ORM_NAMES = ["Session", "SessionTransaction"]
CORE_NAMES = ["Connection", "Engine", "Result", "ScalarResult", "Transaction"]
OTHER_NAMES = ["Client", "ExitStack", "Iterable", "Iterator"]
RENAMES = {f"Async{name}": name for name in [*ORM_NAMES, *CORE_NAMES, *OTHER_NAMES]}
RENAMES |= {f"__a{name}__": f"__{name}__" for name in ["enter", "exit", "iter", "next"]}
RENAMES |= {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aclosing": "closing",
    "aiter": "iter",
    "anext": "next",
    "async_sessionmaker": "sessionmaker",
    "asynccontextmanager": "contextmanager",
    "create_async_engine": "create_engine",
    "enter_async_context": "enter_context",
    "pytest_asyncio": "pytest",
    "stream_scalars": "scalars",
}
HOMES = dict.fromkeys([*ORM_NAMES, "sessionmaker"], "sqlalchemy.orm")
HOMES |= dict.fromkeys([*CORE_NAMES, "create_engine"], "sqlalchemy")
LIBRARIES = {"collections.abc", "contextlib", "httpx", "typing", *HOMES.values()}
UNWRAPPED = {"Awaitable": 0, "Coroutine": 2}  # and how many arguments come before the result

# While the code is rewritten: a string or comment taken out, a line end removed, one added.
TEXT, REMOVED_END, ADDED_END = "\x00", "\x01", "\x02"
TEXT_MARK = re.compile(f"{TEXT}(\\d+){TEXT}")

IMPORT = re.compile(
    r"^( *)from (sqlalchemy\.ext\.asyncio|collections\.abc|typing) import (\([^()]*\)|[^\n\x00(]*)",
    re.MULTILINE,
)
ANNOTATION = re.compile(r"(?<![.\w])(Awaitable|Coroutine)\[")
# A space before the bracket, or none and no name either: not the bracket of a call.
AWAIT_IN_BRACKETS = re.compile(r"(?<![\w)\]\x00])\(\s*await ")
RUN_SYNC = re.compile(r"([\w.]+)\.run_sync\(\s*([\w.]+)(?=\s*[,)])")
INNER_BRACKETS = re.compile(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}")

RENAMED_WORD = re.compile(rf"\b(?:{'|'.join(RENAMES)})\b")
SESSION_STREAM = re.compile(r"(session\.)stream\(")
ASYNC_WORD = re.compile(r"(?<!\band )(?<!\bor )\b([Aa])sync(?:hronous)? (?!and |or )([`\w])")
AWAITED_CALL = re.compile(r"\bawait (?=[\w.]+[(\[])")
ARTICLE = re.compile(r"\b([Aa])n (`*(?:async(?:hronous)? `*\w+|\w*[Aa]sync\w*))")
VOWEL = re.compile(r"`*(?:[aeio]|u(?!ni|s|r|u))", re.IGNORECASE)

LEFTOVER = re.compile(
    r"\w*(?:async|await|coroutine|greenlet)\w*|\b(?:aio\w*|anyio|event loop|ASGITransport"
    r"|loop_scope|run_sync|sync_engine|sync_session)\b",
    re.IGNORECASE,
)
ADVICE = {"AsyncGenerator": "use AsyncIterator", "run_sync": "call it with a named function"}

PACKAGE = "{{ package_name }}"
# As long as the longest package name the template accepts, so that no import is ever too long.
PLACEHOLDER = "package_name_of_thirty_letters"
# Besides I and F401: what ruff reports only once the async is gone.
RUFF_CONFIG = f"""
exclude = []
line-length = 100
respect-gitignore = false
src = []
target-version = "py311"
[lint]
select = ["I", "F401", "C416", "PIE790", "SIM110", "UP028"]
isort.known-first-party = ["{PLACEHOLDER}", "migrations", "tests"]
"""
OVERLAY = re.compile(r"\{% if (\w*?)a?sync(\w*) %\}(.+)\{% endif %\}")


class BadInputError(Exception):
    """The template holds something that has no sync form."""


class Module(NamedTuple):
    """An async file and its twin, by their paths in the template and as Python without Jinja."""

    source: Path
    twin: Path
    source_text: str
    twin_text: str


def text_spans(lines: list[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where strings and comments are; an f-string is one string, whatever Python runs this."""
    starts = []
    for token in tokenize.generate_tokens(iter(lines).__next__):
        kind = tokenize.tok_name[token.type]
        if kind.endswith("STRING_START"):
            starts.append(token.start)
        elif kind.endswith("STRING_END"):
            start = starts.pop()
            if not starts:
                yield start, token.end
        elif kind in {"STRING", "COMMENT"} and not starts:
            yield token.start, token.end


def split_texts(source: str) -> tuple[str, list[str]]:
    """Take strings and comments out of the code, leaving a numbered mark for each."""
    lines = io.StringIO(source).readlines()
    offsets = [*accumulate(map(len, lines), initial=0)]
    code, texts, done = "", list[str](), 0
    for (start_line, start_column), (end_line, end_column) in text_spans(lines):
        start, end = offsets[start_line - 1] + start_column, offsets[end_line - 1] + end_column
        code += f"{source[done:start]}{TEXT}{len(texts)}{TEXT}"
        texts.append(source[start:end])
        done = end
    return code + source[done:], texts


def removed_ends(text: str) -> str:
    return REMOVED_END * text.count("\n")


def top_level(code: str, opening: int) -> tuple[list[int], int]:
    """The commas directly inside a bracket, and where it closes."""
    depth, commas = 0, []
    for index in range(opening, len(code)):
        depth += (code[index] in "([{") - (code[index] in ")]}")
        if depth == 0:
            return commas, index
        if code[index] == "," and depth == 1:
            commas.append(index)
    raise AssertionError("the source has been parsed, so its brackets are balanced")


def rewrite_import(match: re.Match[str]) -> str:
    """Import every name from where its sync form lives."""
    indent, module, body = match.groups()
    homes: dict[str, list[str]] = {}
    for name, alias in re.findall(r"(\w+)(?: as (\w+))?", TEXT_MARK.sub("", body)):
        new = RENAMES.get(name, name)
        home = module if module != "sqlalchemy.ext.asyncio" else HOMES.get(new, module)
        if name not in UNWRAPPED or alias:
            homes.setdefault(home, []).append(
                f"{new} as {alias}" if alias not in {"", new} else new
            )
    lines = [f"from {home} import {', '.join(names)}" for home, names in homes.items()]
    comments = "  ".join(["", *(mark[0] for mark in TEXT_MARK.finditer(body))])
    statement = f"{ADDED_END}{indent}".join(lines or ["pass"])
    return indent + statement + comments + removed_ends(match[0])


def unwrap_annotations(code: str) -> str:
    """Turn `Awaitable[X]` and `Coroutine[Any, Any, X]` into `X`."""
    position = 0
    while match := ANNOTATION.search(code, position):
        position = match.start()
        commas, closing = top_level(code, match.end() - 1)
        skipped = UNWRAPPED[match[1]]
        if skipped > len(commas):
            position = match.end()
            continue
        start = [match.end() - 1, *commas][skipped] + 1
        inner = code[start:closing].strip().removesuffix(",")
        ends = removed_ends(code[position:closing])[inner.count("\n") :]
        code = code[:position] + inner + ends + code[closing + 1 :]
    return code


def unwrap_awaits(code: str) -> str:
    """Turn `(await call()).all()` into `call().all()`: only the await needed the brackets."""
    position = 0
    while match := AWAIT_IN_BRACKETS.search(code, position):
        position = match.end()
        _, closing = top_level(code, match.start())
        inner = code[match.end() : closing].rstrip()
        outline = inner
        while (shorter := INNER_BRACKETS.sub("", outline)) != outline:
            outline = shorter
        if re.fullmatch(r"[\w.]+", outline):
            ends = removed_ends(match[0] + code[match.end() + len(inner) : closing])
            code = code[: match.start()] + inner + ends + code[closing + 1 :]
            position = match.start()
    return code


def rewrite_code(code: str) -> str:
    code = unwrap_awaits(unwrap_annotations(IMPORT.sub(rewrite_import, code)))
    code = re.sub(r"\b(?:async|await)\b *", "", code)
    code = RUN_SYNC.sub(lambda match: f"{match[2]}({match[1]}{removed_ends(match[0])}", code)
    code = re.sub(r"\.sync_(?:engine|session)\b", "", code)
    return rewrite_words(code)


def rewrite_words(text: str) -> str:
    return SESSION_STREAM.sub(r"\1execute(", RENAMED_WORD.sub(lambda m: RENAMES[m[0]], text))


def rewrite_prose(text: str) -> str:
    """Rewrite a string or a comment, but for its articles."""
    text = AWAITED_CALL.sub("", rewrite_words(text))
    return ASYNC_WORD.sub(lambda m: m[2].upper() if m[1] == "A" else m[2], text)


def rewrite_article(match: re.Match[str]) -> str:
    rest = rewrite_prose(match[2])
    return f"{match[1]}{'n' if VOWEL.match(rest) else ''} {rest}"


def find_collisions(tree: ast.AST, code: str) -> Iterator[tuple[int, str]]:
    """Names whose sync form already means something else in the file."""
    taken: dict[str, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                taken[name] = node.lineno
            case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                taken[name] = node.lineno
            case ast.ImportFrom(module=module, names=aliases) if module not in LIBRARIES:
                taken |= {alias.asname or alias.name: node.lineno for alias in aliases}
    for name, new in RENAMES.items():
        if new in taken and re.search(rf"(?<![.\w]){name}\b(?! as )", code):
            yield taken[new], f"`{name}` becomes `{new}`, a name in use: import it under an alias"


def find_leftovers(twin: str) -> Iterator[tuple[int, str]]:
    for match in LEFTOVER.finditer(twin):
        line = 1 + len(re.findall(f"[\n{REMOVED_END}]", twin[: match.start()]))
        advice = ADVICE.get(match[0], "reword it, or list the file in HAND_WRITTEN")
        yield line, f"`{match[0]}` has no sync form: {advice}"


def sync_form(source: str) -> tuple[str, list[tuple[int, str]]]:
    """The twin, not yet formatted, and the problems by line of the source."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return "", [(error.lineno or 1, f"does not parse: {error.msg}")]
    code, texts = split_texts(source)
    texts = [rewrite_prose(ARTICLE.sub(rewrite_article, text)) for text in texts]
    twin = TEXT_MARK.sub(lambda match: texts[int(match[1])], rewrite_code(code))
    problems = sorted({*find_collisions(tree, code), *find_leftovers(twin)})
    return twin.replace(REMOVED_END, "").replace(ADDED_END, "\n"), problems


def read_python(path: Path) -> str:
    text = path.read_bytes().decode()
    if path.suffix != ".jinja":
        return text
    text = text.replace(PACKAGE, PLACEHOLDER)
    if match := re.search(r"\{[{%#]", text):
        line = 1 + text.count("\n", 0, match.start())
        raise BadInputError(f"{path}:{line}: the only Jinja allowed here is {PACKAGE}")
    return text


def files_below(folder: Path) -> set[Path]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in files if "__pycache__" not in path.parts}


def overlays(template: Path) -> list[tuple[Path, Path]]:
    found = filter(None, (OVERLAY.fullmatch(path.name) for path in template.iterdir()))
    names = sorted({f"{{% if {m[1]}async{m[2]} %}}{m[3]}{{% endif %}}" for m in found})
    return [(template / name, template / name.replace("async", "sync", 1)) for name in names]


def find_files(template: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Each async file with the place of its twin, and the sync files that have no source."""
    pairs, extra, unseen = list[tuple[Path, Path]](), list[Path](), set(HAND_WRITTEN)
    for source, twin in overlays(template):
        sources, twins = files_below(source), files_below(twin)
        if twins and not source.is_dir():
            raise BadInputError(f"{twin}: there is no async overlay to write it from")
        for path in sorted(sources | twins):
            if path.as_posix() in HAND_WRITTEN:
                unseen.discard(path.as_posix())
                if path not in sources & twins:
                    raise BadInputError(f"{path}: in HAND_WRITTEN, so write it for both overlays")
            elif path not in sources:
                extra.append(twin / path)
            elif "async" in str(path) or not path.name.endswith((".py", ".py.jinja")):
                raise BadInputError(f"{source / path}: not a Python file that can have a twin")
            else:
                pairs.append((source / path, twin / path))
    if unseen:
        raise BadInputError(f"{min(unseen)}: in HAND_WRITTEN, but in no overlay")
    return pairs, extra


def run_ruff(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "ruff", *arguments, "--config=ruff.toml", "--no-cache"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BadInputError(f"ruff failed: {(result.stderr or result.stdout).splitlines()[0]}")


def format_all(modules: list[Module]) -> list[Module]:
    """Format sources and twins in a scratch folder, so that no other ruff.toml has a say."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "ruff.toml").write_text(RUFF_CONFIG)
        places = list[tuple[Path, Path]]()
        for index, module in enumerate(modules):
            file = f"{index}/{module.source.name.removesuffix('.jinja')}"
            places.append((scratch / "sources" / file, scratch / "twins" / file))
            for place, text in zip(places[-1], module[2:], strict=True):
                place.parent.mkdir(parents=True)
                place.write_bytes(text.encode())
        run_ruff(scratch, "check", "--fix-only", "--unsafe-fixes", "twins")
        run_ruff(scratch, "format", ".")
        texts = [[place.read_bytes().decode() for place in pair] for pair in places]
    return [Module(*module[:2], *pair) for module, pair in zip(modules, texts, strict=True)]


def wanted_files(template: Path) -> dict[Path, str | None]:
    """What the generated files should hold, or None for a file that should not be there."""
    pairs, extra = find_files(template)
    modules, problems = list[Module](), list[str]()
    for source, twin in pairs:
        text = read_python(source)
        twin_text, found = sync_form(text)
        problems += [f"{source}:{line}: {message}" for line, message in found]
        modules.append(Module(source, twin, text, twin_text))
    formatted = format_all(modules) if modules and not problems else []
    for before, after in zip(modules, formatted, strict=False):
        if before.source_text != after.source_text:
            problems.append(f"{before.source}: not formatted by ruff with 100 columns")
    if problems:
        raise BadInputError("\n".join(problems))
    twins = {module.twin: module.twin_text.replace(PLACEHOLDER, PACKAGE) for module in formatted}
    return dict.fromkeys(extra) | twins


def update(path: Path, text: str | None) -> None:
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return
    path.unlink()
    for folder in path.parents:
        if any(folder.iterdir()):
            break
        folder.rmdir()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the sync twins of the async overlays.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if not fresh")
    parser.add_argument("--template", type=Path, default=Path(__file__).parents[1] / "template")
    options = parser.parse_args(arguments)
    try:
        wanted = wanted_files(options.template)
    except (BadInputError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    is_fresh = True
    for path, text in wanted.items():
        if path.is_file() and text is not None and path.read_bytes() == text.encode():
            continue
        is_fresh = False
        state = "extra" if text is None else "stale" if path.exists() else "missing"
        print(f"{state}: {path}" if options.check else path)
        if not options.check:
            update(path, text)
    return 1 if options.check and not is_fresh else 0


if __name__ == "__main__":
    sys.exit(main())

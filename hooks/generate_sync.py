"""How the sync twin of every async overlay in template/ is written."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from os.path import commonprefix
from pathlib import Path

# Files written by hand in both overlays, as paths relative to the overlay folder: those where the
# two differ by more than words (a lifespan, a timeout, anything that needs asyncio itself).
HAND_WRITTEN = {
    "{{ package_name }}/db/mysql.py",
    "{{ package_name }}/db/postgres.py",
    "{{ package_name }}/db/runtime.py",
    "{{ package_name }}/features/{% if use_accounts %}accounts{% endif %}/passwords.py",
    "{{ package_name }}/web/database.py",
    "clients.py.jinja",
}

ORM_NAMES = ["Session", "SessionTransaction"]
CORE_NAMES = ["Connection", "Engine", "Result", "ScalarResult", "Transaction"]
OTHER_NAMES = ["Client", "ExitStack", "Iterable", "Iterator", "Retrying"]
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
LIBRARIES = {"collections.abc", "contextlib", "httpx", "httpx2", "typing", *HOMES.values()}

# In code that is being rewritten: a string or comment, a line end removed, a line end added.
TEXT, REMOVED_END, ADDED_END = "\x00", "\x01", "\x02"
TEXT_MARK = re.compile(f"{TEXT}(\\d+){TEXT}")
# An f-string is one text on every Python; that is why this is not tokenize.
TEXTS = re.compile(r"""("{3}|'{3}|["'])(?:\\.|(?!\1)[^\\])*\1|#[^\n]*""", re.DOTALL)
BALANCED = r"[^()\[\]{}]*"
for _ in range(6):
    BALANCED = rf"(?:[^()\[\]{{}}]|[(\[{{]{BALANCED}[)\]}}])*"

IMPORT = re.compile(
    r"(?m)^( *)from (sqlalchemy.ext.asyncio|collections.abc|typing) import (\([^()]*\)|[^\n\0(]*)"
)
ANNOTATION = re.compile(
    rf"(?<![.\w])(?:Awaitable\[|Coroutine\[\s*\w+,\s*\w+,)\s*({BALANCED}?),?\s*\]"
)
# A bracket that follows a name, a bracket or a string is that of a call.
AWAIT_INSIDE = re.compile(rf"(?<![\w)\]{TEXT}])\(\s*await ((?:[\w.]|[(\[]{BALANCED}[)\]])+)\s*\)")
RUN_SYNC = re.compile(r"([\w.]+)\.run_sync\(\s*([\w.]+)(?=\s*[,)])")

RENAMED_WORD = re.compile(rf"\b(?:{'|'.join(RENAMES)})\b")
ASYNC_WORD = re.compile(r"(?<!\band )(?<!\bor )\b([Aa])sync(?:hronous)? (?!and |or )([`\w])")
ARTICLE = re.compile(r"\b([Aa])n (`*(?:async(?:hronous)? `*\w+|\w*[Aa]sync\w*))")
LEFTOVER = re.compile(
    r"\b\w*(?:async|await|coroutine|greenlet)\w*|\b(?:aio\w*|anyio|event loop|ASGITransport"
    r"|loop_scope|run_sync|sync_engine|sync_session)\b",
    re.IGNORECASE,
)
ADVICE = {"AsyncGenerator": "use AsyncIterator", "run_sync": "call it with a named function"}

PACKAGE = "{{ package_name }}"
# As long as the longest package name the template accepts, so that no import is ever too long.
PLACEHOLDER = "package_name_of_thirty_letters"
# Besides I and F401: what ruff reports only once the async is gone.
RUFF_CONFIG = f"""
line-length = 100
respect-gitignore = false
target-version = "py311"
[lint]
select = ["I", "F401", "C416", "PIE790", "SIM110", "UP028"]
isort.known-first-party = ["{PLACEHOLDER}"]
isort.known-local-folder = ["tests"]
"""
OVERLAY = re.compile(r"\{% if (\w*?)a?sync(\w*) %\}(.+)\{% endif %\}")


class BadInputError(Exception):
    """The template holds something that has no sync form."""


def shrink(match: re.Match[str], text: str) -> str:
    """Replace a match, keeping count of the line ends that go."""
    return text + REMOVED_END * (match[0].count("\n") - text.count("\n"))


def rewrite_import(match: re.Match[str]) -> str:
    """Import every name from where its sync form lives."""
    indent, module, body = match.groups()
    homes: dict[str, list[str]] = {}
    for name, alias in re.findall(r"([\w*]+)(?: as (\w+))?", TEXT_MARK.sub("", body)):
        new = RENAMES.get(name, name)
        home = module if module != "sqlalchemy.ext.asyncio" else HOMES.get(new, module)
        if alias or name not in {"Awaitable", "Coroutine"}:
            homes.setdefault(home, []).append(
                f"{new} as {alias}" if alias not in {"", new} else new
            )
    lines = [f"from {home} import {', '.join(names)}" for home, names in homes.items()]
    statement = f"{ADDED_END}{indent}".join(lines or ["pass"])
    return shrink(match, "  ".join([indent + statement, *re.findall(f"{TEXT}\\d+{TEXT}", body)]))


def rewrite_code(code: str) -> str:
    code, before = IMPORT.sub(rewrite_import, code), ""
    while code != before:  # one may stand inside another
        before = code
        code = ANNOTATION.sub(lambda match: shrink(match, match[1]), code)
        code = AWAIT_INSIDE.sub(lambda match: shrink(match, match[1]), code)
    code = re.sub(r"\b(?:async|await)\b *", "", code)
    code = RUN_SYNC.sub(lambda match: shrink(match, f"{match[2]}({match[1]}"), code)
    return rewrite_words(re.sub(r"\.sync_(?:engine|session)\b", "", code))


def rewrite_words(text: str) -> str:
    text = RENAMED_WORD.sub(lambda match: RENAMES[match[0]], text)
    return re.sub(r"((?:session|connection)\.)stream\(", r"\1execute(", text)


def rewrite_prose(text: str) -> str:
    text = re.sub(r"\bawait (?=[\w.]+[(\[])", "", rewrite_words(text))
    return ASYNC_WORD.sub(lambda match: match[2].upper() if match[1] == "A" else match[2], text)


def rewrite_article(match: re.Match[str]) -> str:
    rest = rewrite_prose(match[2])
    vowel = re.match(r"`*(?:[aeio]|u(?!ni|s|r|u))", rest, re.IGNORECASE)
    return f"{match[1]}{'n' if vowel else ''} {rest}"


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
    texts: list[str] = []

    def take_out(match: re.Match[str]) -> str:
        texts.append(rewrite_prose(ARTICLE.sub(rewrite_article, match[0])))
        return f"{TEXT}{len(texts) - 1}{TEXT}"

    code = TEXTS.sub(take_out, source)
    marked = TEXT_MARK.sub(lambda match: texts[int(match[1])], rewrite_code(code))
    twin = marked.replace(REMOVED_END, "").replace(ADDED_END, "\n")
    try:
        problems = sorted({*find_collisions(ast.parse(source), code), *find_leftovers(marked)})
        ast.parse(twin if not problems else "")
    except SyntaxError as error:
        problems = [(error.lineno or 1, f"it or its sync form does not parse: {error.msg}")]
    return twin, problems


def tidy(texts: Sequence[str]) -> list[str]:
    """Let ruff fix and format all texts in a scratch folder, out of reach of other settings."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "ruff.toml").write_text(RUFF_CONFIG)
        files = [scratch / f"{number}.py" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_bytes(text.encode())
        for command in (["check", "--fix-only", "--unsafe-fixes"], ["format"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--quiet", "."]
            result = subprocess.run(ruff, cwd=scratch, stderr=subprocess.PIPE, text=True)
            if result.returncode:
                raise BadInputError(f"ruff failed: {result.stderr.strip().splitlines()[-1]}")
        return [file.read_bytes().decode() for file in files]


def read_python(path: Path) -> str:
    if "async" in path.name or not path.name.endswith((".py", ".py.jinja")):
        raise BadInputError(f"{path}: not Python, or a name that only fits async")
    text = path.read_bytes().decode()
    if path.suffix == ".py":
        return text
    text = text.replace(PACKAGE, PLACEHOLDER)
    if match := re.search(r"\{[{%#]", text):
        line = 1 + text.count("\n", 0, match.start())
        raise BadInputError(f"{path}:{line}: the only Jinja allowed here is {PACKAGE}")
    return text


def files_below(folder: Path) -> set[Path]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in files if "__pycache__" not in path.parts}


def find_twins(template: Path) -> dict[Path, Path | None]:
    """Every generated file with its source, or None if that is gone."""
    matches = filter(None, (OVERLAY.fullmatch(path.name) for path in template.iterdir()))
    overlays = sorted({f"{{% if {m[1]}async{m[2]} %}}{m[3]}{{% endif %}}" for m in matches})
    pairs = [(template / name, template / name.replace("async", "sync", 1)) for name in overlays]
    # What startfeature writes in projects.
    if (parts := template.parent / "feature").is_dir():
        pairs.append((parts / "async", parts / "sync"))
    found: dict[Path, Path | None] = {}
    for source, twin in pairs:
        sources, twins = files_below(source), files_below(twin)
        if twins and not sources:
            raise BadInputError(f"{twin}: there is no async overlay to write it from")
        for path in sorted(sources | twins):
            if path.as_posix() not in HAND_WRITTEN:
                found[twin / path] = source / path if path in sources else None
            elif path not in sources & twins:
                raise BadInputError(f"{path}: in HAND_WRITTEN, so write it in {source} and {twin}")
    for file in sorted(HAND_WRITTEN if overlays else []):
        if not any((template / name / file).is_file() for name in overlays):
            raise BadInputError(f"{file}: in HAND_WRITTEN, but in no overlay")
    return found


def wanted_files(template: Path) -> dict[Path, str | None]:
    """What every generated file should hold, or None if it should not be there."""
    twins = find_twins(template)
    sources = [source for source in twins.values() if source]
    texts, forms, problems = list[str](), list[str](), list[str]()
    for source in sources:
        texts.append(read_python(source))
        form, found = sync_form(texts[-1])
        forms.append(form)
        problems += [f"{source}:{line}: {message}" for line, message in found]
    tidied = tidy([*texts, *forms]) if texts and not problems else []
    for source, text, formatted in zip(sources, texts, tidied, strict=False):
        if text != formatted:
            line = 1 + commonprefix([text, formatted]).count("\n")  # noqa: RUF071
            problems.append(f"{source}:{line}: not as ruff leaves it with 100 columns")
    if problems:
        raise BadInputError("\n".join(problems))
    written = (text.replace(PLACEHOLDER, PACKAGE) for text in tidied[len(texts) :])
    return {twin: next(written) if source else None for twin, source in twins.items()}


def update(path: Path, text: str | None) -> None:
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    else:
        path.unlink()
        while not any((path := path.parent).iterdir()):
            path.rmdir()


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
    changed = {
        path: text
        for path, text in wanted.items()
        if text is None or not path.is_file() or path.read_bytes() != text.encode()
    }
    for path, text in changed.items():
        if options.check:
            state = "extra" if text is None else "stale" if path.exists() else "missing"
            print(f"{state}: {path}")
        else:
            update(path, text)
            print(f"removed: {path}" if text is None else f"written: {path}")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())

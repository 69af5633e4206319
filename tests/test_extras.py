"""What comes beside the code: images, pipelines, an editor's environment, hooks before a commit."""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from projects import LONGEST_END, ask, free_port, wait_until
from rendering import LATER, ROOT, Renderer, commit, git

BIN = str(ROOT / ".venv" / "bin") + "/"
ALL: dict[str, Any] = {"extras": ["docker", "github", "gitlab", "devcontainer"]}
ANSWERS: list[dict[str, Any]] = [
    {"database": "postgresql", "web": "fastapi"},
    {"database": "sqlite", "web": "none", "python": "3.14"},
    {"database": "mysql", "web": "fastapi", "sessions": "sync", "env_prefix": "SHOP_"},
]
# A migration that loses data.
DROP = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_column("items", "description")
"""
EACH = pytest.mark.parametrize("answers", ANSWERS, ids=lambda answers: answers["database"])
# The hashes of actions cannot be looked up here; a tag of GitHub's own is taken for what it says.
ZIZMOR = {"rules": {"unpinned-uses": {"config": {"policies": {"actions/*": "ref-pin"}}}}}


def run(*command: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **options)


def expect(*command: str | Path, cwd: Path, **options: Any) -> str:
    done = run(*command, cwd=cwd, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@EACH
def test_linters_and_schemas_find_nothing(
    renderer: Renderer, tmp_path: Path, answers: dict[str, Any]
) -> None:
    project = renderer.render({"package_name": "shop"} | answers | ALL)
    settings = tmp_path / "zizmor.yml"
    settings.write_text(yaml.safe_dump(ZIZMOR))

    expect(BIN + "hadolint", "Dockerfile", cwd=project)
    expect(BIN + "zizmor", "--offline", f"--config={settings}", ".github/workflows", cwd=project)
    for schema, files in {
        "github-workflows": [".github/workflows/ci.yml", ".github/workflows/template-update.yml"],
        "gitlab-ci": [".gitlab-ci.yml"],
        "compose-spec": ["compose.yaml"],
    }.items():
        check = [BIN + "check-jsonschema", f"--builtin-schema=vendor.{schema}", *files]
        expect(*check, cwd=project)
    script = steps_of(project / ".github/workflows/template-update.yml")[-1]["run"]
    expect(BIN + "shellcheck", "--shell=bash", "-", cwd=project, input=script)
    environment = json.loads((project / ".devcontainer/devcontainer.json").read_text())
    assert environment["image"] == f"python:{answers.get('python', '3.11')}"


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
    steps: list[dict[str, Any]] = job["steps"]
    return steps


def test_without_extras_there_are_none(renderer: Renderer) -> None:
    project = renderer.render({})

    assert {
        path.name for path in project.iterdir() if path.name.startswith(("Docker", "comp"))
    } == set()
    assert not (project / ".github").exists()
    assert "docker" not in (project / "README.md").read_text()


def test_the_pipelines_run_what_the_makefile_has(renderer: Renderer) -> None:
    project = renderer.render({"package_name": "shop", "python": "3.13"} | ALL)
    targets = re.findall(r"^(\w+):", (project / "Makefile").read_text(), re.MULTILINE)
    pipelines = [project / ".github/workflows/ci.yml", project / ".gitlab-ci.yml"]

    for path in pipelines:
        named = re.findall(r"make (\w+)", path.read_text())
        assert named == ["check", "test"], path
        assert set(named) <= set(targets)
        assert re.search(r'\["3.13", ?"3.14"\]', path.read_text()), path


def test_what_ends_well_is_not_started_again(renderer: Renderer) -> None:
    for web, database in itertools.product(("fastapi", "none"), ("sqlite", "postgresql")):
        project = renderer.render({"web": web, "database": database} | ALL)
        text = (project / "compose.yaml").read_text()
        app, *server = yaml.safe_load(text)["services"].values()
        assert app["restart"] == ("unless-stopped" if web == "fastapi" else "on-failure")
        assert [one["restart"] for one in server] == ["unless-stopped"] * len(server)
        # The server takes it literally, the URL does not: only what means itself in both.
        if server:
            assert "# The password stands in a URL, too: only letters, digits and -._~." in text


def test_gitlab_tests_a_branch_with_a_merge_request_once(renderer: Renderer) -> None:
    project = renderer.render(ALL)
    pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    branch = {"CI_COMMIT_BRANCH": "work"}
    requested = branch | {"CI_OPEN_MERGE_REQUESTS": "ours/shop!1"}
    for source, variables, jobs in [
        ("push", branch, ["test"]),
        ("push", requested, []),
        ("push", {"CI_COMMIT_TAG": "1.0.0"}, ["test"]),
        ("merge_request_event", {}, ["test"]),
        ("web", requested, ["test"]),
        ("schedule", branch, ["template-update"]),
        ("schedule", requested, ["template-update"]),
    ]:
        known = variables | {"CI_PIPELINE_SOURCE": source}
        passed = [job for job in ("test", "template-update") if passes(pipeline[job], known)]
        assert (passed if passes(pipeline["workflow"], known) else []) == jobs, known


def passes(part: dict[str, Any], variables: dict[str, str]) -> bool:
    """Tell whether the first of GitLab's rules that holds lets it run."""
    for rule in part["rules"]:
        terms = rule.get("if", "$CI_PIPELINE_SOURCE").split(" && ")
        if all(holds(term, variables) for term in terms):
            return bool(rule.get("when") != "never")
    return False


def holds(term: str, variables: dict[str, str]) -> bool:
    name, operator, value = re.fullmatch(r'\$(\w+)(?: (==|!=) "(\w+)")?', term).groups()  # type: ignore[union-attr]
    if operator is None:
        return bool(variables.get(name))
    return (variables.get(name) == value) is (operator == "==")


def test_github_fetches_the_names_of_packages_before_it_installs_one(renderer: Renderer) -> None:
    project = renderer.render({"database": "mysql"} | ALL)
    runs = [step.get("run", "") for step in steps_of(project / ".github/workflows/ci.yml")]

    (install,) = [run for run in runs if "apt-get" in run]
    assert re.search(r"^sudo apt-get update && sudo apt-get install ", install)


def test_an_update_of_the_workflows_can_be_pushed_and_tested(renderer: Renderer) -> None:
    """GitHub's own token may not push them, and what it opens starts no workflow."""
    project = renderer.render(ALL)
    workflow = project / ".github/workflows/template-update.yml"
    token = "${{ secrets.TEMPLATE_UPDATE_TOKEN || github.token }}"

    checkout = steps_of(workflow)[0]
    assert checkout["with"]["token"] == token
    assert checkout["with"]["persist-credentials"]
    (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
    assert job["env"]["GH_TOKEN"] == token
    assert "TEMPLATE_UPDATE_TOKEN" in workflow.read_text().split("name:")[0]


@LATER
def test_the_project_passes_its_hooks_and_they_stop_what_is_wrong(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = renderer.copy({"package_name": "shop"} | ALL, tmp_path / "shop")
    (project / ".venv").symlink_to(ROOT / ".venv")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    hooks = [BIN + "pre-commit", "run", "--all-files"]
    cache = os.environ | {
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(project / "src"),
    }

    expect(*hooks, cwd=project, env=cache)
    for name, text, hook in [
        ("src/shop/unused.py", "import os\n", "ruff-check"),
        ("src/shop/mistyped.py", 'number: int = "one"\n', "mypy"),
        ("migrations/versions/20260202_0000_drop.py", DROP, "review-migrations"),
        ("README.md", "<<<<<<< ours\n", "merge-conflicts"),
        ("Makefile.rej", "@@\n", "rejected-hunks"),
    ]:
        before = (project / name).read_text() if (project / name).exists() else ""
        (project / name).write_text(before + text)
        git(project, "add", "--all")
        done = run(*hooks, hook, cwd=project, env=cache)
        assert done.returncode == 1, name
        assert "Failed" in done.stdout, done.stdout
        (project / name).write_text(before)


@LATER
@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_a_new_version_of_the_template_becomes_a_pull_request(
    renderer: Renderer, tmp_path: Path, host: str
) -> None:
    template = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(renderer.template), str(template))
    project, origin = tmp_path / "shop", tmp_path / "origin.git"
    answers = {"package_name": "shop"} | ALL
    copier.run_copy(str(template), project, data=answers, defaults=True, quiet=True)
    git(tmp_path, "init", "--quiet", "--bare", str(origin))
    git(origin, "config", "receive.advertisePushOptions", "true")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "remote", "add", "origin", str(origin))
    commit(project, "start")
    asked = tmp_path / "asked"
    programs = tmp_path / "bin"
    programs.mkdir()
    for program, text in [
        (programs / "gh", f'echo "$@" >> {asked}'),
        (programs / "python", "exit 0"),
        (origin / "hooks/pre-receive", f'env | grep "^GIT_PUSH_OPTION_[0-9]" >> {asked} || true'),
    ]:
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{ROOT}/.venv/bin:{os.environ['PATH']}",
        "CI_SERVER_HOST": "gitlab.test",
        "CI_PROJECT_PATH": "ours/shop",
        "UPDATE_TOKEN": "token",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://update:token@gitlab.test/ours/shop.git",
    }
    if host == "github":
        script = steps_of(project / ".github/workflows/template-update.yml")[-1]["run"]
    else:
        pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
        script = "\n".join(pipeline["template-update"]["script"])

    # As GitHub runs it, and GitLab.
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    expect(*bash, cwd=project, env=environment)
    assert not asked.exists()
    changed = template / "template/src/{{ package_name }}/db/types.py"
    text = changed.read_text()
    changed.write_text(text + "\n\nNEW_IN_THIS_VERSION = True\n")
    commit(template, "improve")
    git(template, "tag", "99.1.0")
    expect(*bash, cwd=project, env=environment)

    assert "Conflicts to resolve: none" in asked.read_text()
    shown = git(origin, "show", "template-update:src/shop/db/types.py")
    assert "NEW_IN_THIS_VERSION" in shown

    # The next time where the branch is still there, and where both have changed a line.
    git(project, "switch", "--quiet", "main")
    ours = project / "src/shop/db/types.py"
    ours.write_text(ours.read_text() + "\n\nOUR_OWN = True\n")
    commit(project, "ours")
    expect(*bash, cwd=project, env=environment)
    assert "Conflicts to resolve: src/shop/db/types.py" in asked.read_text()


@LATER
@EACH
def test_the_steps_of_the_image_make_a_service_that_runs(
    renderer: Renderer, tmp_path: Path, answers: dict[str, Any]
) -> None:
    # What is installed here is the Python that the image would have.
    answers = answers | {"database": "sqlite", "python": "{}.{}".format(*sys.version_info)}
    project = renderer.copy({"package_name": "shop"} | answers | ALL, tmp_path / "shop")
    context, venv = copied(project, tmp_path / "context"), tmp_path / "venv"
    lines = (project / "Dockerfile").read_text().replace("\\\n", "")
    variables = re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", lines, re.MULTILINE)))
    prefix = answers.get("env_prefix", "")
    environment = (
        os.environ
        | dict(variables)
        | {
            "PATH": f"{venv}/bin:{ROOT}/.uv/bin:{os.environ['PATH']}",
            f"{prefix}DATABASE_URL": f"sqlite:///{tmp_path}/shop.db",
        }
    )
    build, _final = lines.split("\n\n")
    installs = re.findall(r"^RUN (uv .*)$", build, re.MULTILINE)
    assert len(installs) == 2
    expect("uv", "venv", "--quiet", venv, cwd=context, env=environment)
    for install in installs:
        expect("sh", "-c", install.replace("/venv", str(venv)), cwd=context, env=environment)

    (command,) = re.findall(r'^CMD (\["sh".*)$', lines, re.MULTILINE)
    (tmp_path / "home").mkdir()
    if answers["web"] == "none":
        assert "up to date" in expect(*json.loads(command), cwd=tmp_path / "home", env=environment)
        return
    environment[f"{prefix}PORT"] = str(free_port())
    address = f"http://127.0.0.1:{environment[f'{prefix}PORT']}"
    process = subprocess.Popen(json.loads(command), cwd=tmp_path / "home", env=environment)
    try:
        wait_until(lambda: ask(f"{address}/health/ready")[0] == 200, 30)
        (probe,) = re.findall(r"HEALTHCHECK .* CMD (\[.*)$", lines, re.MULTILINE)
        program, *arguments = json.loads(probe.replace(":8000", address[len("http://127.0.0.1") :]))
        expect(shutil.which(program, path=environment["PATH"]) or "", *arguments, cwd=tmp_path)
    finally:
        process.terminate()
    assert process.wait(LONGEST_END) == 0


def copied(project: Path, context: Path) -> Path:
    """Return a folder with what .dockerignore lets into the image."""
    kept = re.findall(r"^!(.*)$", (project / ".dockerignore").read_text(), re.MULTILINE)
    for path in project.iterdir():
        if any(fnmatch.fnmatch(path.name, name) for name in kept):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            context.mkdir(exist_ok=True)
            copy(path, context / path.name)
    return context

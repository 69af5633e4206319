"""Write cookiecutter.json from copier.yml, so that cookiecutter asks what Copier asks.

python tools/front_door.py            write it anew
python tools/front_door.py --check    say whether it is up to date
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ROOT / "cookiecutter.json"
# A folder with a name of cookiecutter's own making: no answer can lead it elsewhere.
# Without a name the hook gives the reason.
FOLDER = "{{ cookiecutter.package_name | slugify or 'unnamed' }}"


def main() -> int:
    text = json.dumps(written(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv[1:]:
        WRITTEN.write_text(text)
        return 0
    if WRITTEN.read_text() != text:
        print(f"{WRITTEN.name} does not ask what copier.yml asks: make front-door", file=sys.stderr)
        return 1
    return 0


def written() -> dict[str, Any]:
    asked = questions()
    context: dict[str, Any] = {name: default_of(question) for name, question in asked.items()}
    return context | {
        "__folder": FOLDER,
        "__prompts__": {name: prompt_of(question) for name, question in asked.items()},
    }


def questions() -> dict[str, dict[str, Any]]:
    """Return what copier.yml asks, in its order."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {
        name: question
        for name, question in loaded.items()
        if not name.startswith("_") and question.get("when") is not False
    }


def default_of(question: dict[str, Any]) -> str | list[str]:
    """Return the default; of several choices cookiecutter takes the first."""
    default = question["default"]
    if question.get("multiselect"):
        return ", ".join(default)
    if "choices" in question:
        values = list(choices_of(question).values())
        return sorted(values, key=lambda value: value != default)
    names = "|".join(questions())
    return re.sub(rf"(?<={{{{)(.*?)\b({names})\b", r"\1cookiecutter.\2", default)


def prompt_of(question: dict[str, Any]) -> str | dict[str, str]:
    help_: str = question["help"]
    if question.get("multiselect"):
        return f"{help_} Any of {', '.join(choices_of(question).values())}; a space for none."
    if "choices" in question:
        return {"__prompt__": help_} | {v: label for label, v in choices_of(question).items()}
    return help_


def choices_of(question: dict[str, Any]) -> dict[str, str]:
    choices = question["choices"]
    if isinstance(choices, list):
        return {value: value for value in choices}
    return {
        label: choice["value"] if isinstance(choice, dict) else choice
        for label, choice in choices.items()
    }


if __name__ == "__main__":
    sys.exit(main())

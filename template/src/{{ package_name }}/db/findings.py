"""What `check` finds: its codes stay the same, so that they can be searched for."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is; what could not be looked at is not right either."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """What was found about the settings (S), the database (D) or the migrations (M)."""

    level: Level
    code: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" Hint: {self.hint}." if self.hint else ""
        return f"{self.code} {self.level}: {self.text}.{hint}"

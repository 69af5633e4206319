"""What `check` finds; a code stays what it is, so that it can be searched for."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """What was found about the settings (S), the database (D) or the migrations (M)."""

    level: Literal["ok", "skipped", "warning", "error"]
    code: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" Hint: {self.hint}." if self.hint else ""
        return f"{self.code} {self.level}: {self.text}.{hint}"

"""The settings of the admin page, and what makes a password's hash for them."""

from __future__ import annotations

import re
import secrets
import sys
from getpass import getpass
from typing import Self

from pwdlib import PasswordHash
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from .db.prefix import PREFIX

SHORTEST = 12
# One with a shorter end was cut off.
HASH = re.compile(
    r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}", re.ASCII
)


class AdminSettings(BaseSettings):
    """Who may see the admin page: there is none without a password."""

    admin_password_hash: SecretStr | None = None
    admin_session_secret: SecretStr | None = Field(default=None, min_length=32)

    @field_validator("admin_password_hash")
    @classmethod
    def _check_hash(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not HASH.fullmatch(value.get_secret_value()):
            raise ValueError(f"is not the hash of a password: python -m {__name__} makes one")
        return value

    @model_validator(mode="after")
    def _sign_the_sessions(self) -> Self:
        if self.admin_password_hash and not self.admin_session_secret:
            raise ValueError("admin_session_secret: is missing, and the admin page needs it")
        return self


def main() -> None:
    """Ask for a password, and print the settings that it takes."""
    password = getpass("The password of the admin page: ")
    if len(password) < SHORTEST:
        sys.exit(f"Take at least {SHORTEST} letters.")
    print(f"{PREFIX}ADMIN_PASSWORD_HASH='{PasswordHash.recommended().hash(password)}'")
    print(f"{PREFIX}ADMIN_SESSION_SECRET={secrets.token_urlsafe(32)}")


if __name__ == "__main__":
    main()

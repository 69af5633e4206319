"""The settings of the data layer, and how a wrong one is reported."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL

from .backends import ALIASES, CONNECTORS, BackendSettings, read_url
from .prefix import PREFIX


class SettingsError(Exception):
    """One or more settings are wrong; the text names each and never shows its value."""


class Environment(StrEnum):
    """Where the service runs; it decides the pool and what must be set."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class DatabaseSettings(BackendSettings):
    """How the database is reached; times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        validate_default=True,
    )
    # Connections kept open, and how many more may be opened under load.
    pools: ClassVar[dict[Environment, tuple[int, int]]] = {
        Environment.DEVELOPMENT: (5, 10),
        Environment.PRODUCTION: (10, 20),
        Environment.TEST: (0, 0),
    }

    environment: Environment = Environment.DEVELOPMENT
    database_url: SecretStr
    database_pool_size: int | None = Field(default=None, ge=1)
    database_max_overflow: int | None = Field(default=None, ge=0)
    database_pool_timeout: float = Field(default=10, gt=0)
    database_lock_timeout: float = Field(default=5, gt=0)
    database_echo: bool = False

    @classmethod
    def load(cls, **values: object) -> Self:
        """Return the settings of this process, but for these values; raises SettingsError."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(_describe(error, PREFIX)) from None

    @classmethod
    def load_for(cls, url: str) -> Self:
        """Return the settings of this process for another database; raises SettingsError."""
        # Its other URLs and its pooler lead to its own database.
        own = {
            name: field.default
            for name, field in cls.model_fields.items()
            if name.startswith("database_") and name.endswith(("_url", "_pooler"))
        }
        return cls.load(**own | {"database_url": url})

    @field_validator("environment", mode="before")
    @classmethod
    def _accept_short_names(cls, value: object) -> object:
        return {"dev": "development", "prod": "production"}.get(str(value).lower(), value)

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        parse_url(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _name_the_production_database(self) -> Self:
        if (
            self.environment is Environment.PRODUCTION
            and "database_url" not in self.model_fields_set
        ):
            raise ValueError("database_url: production has no default, name the database")
        return self

    @property
    def url(self) -> URL:
        """The database's URL with this project's driver; its repr hides the password."""
        return parse_url(self.database_url.get_secret_value())

    @property
    def address(self) -> str:
        """Where the database is, without anything secret."""
        url = self.url
        if hosts := url.normalized_query.get("host"):
            return f"{','.join(hosts)}/{url.database}"
        if url.host is None:
            return str(url.database)
        return f"{url.host}:{url.port or 'default port'}/{url.database}"


def parse_url(text: str) -> URL:
    """Return the URL with this project's driver; raises a ValueError that does not repeat it."""
    url = read_url(text)
    backend, _, driver = url.drivername.partition("+")
    backend = ALIASES.get(backend, backend)
    if backend not in CONNECTORS:
        raise ValueError(f"names a database that is not supported: {backend}")
    wanted = CONNECTORS[backend].DRIVER
    if driver not in ("", wanted):
        raise ValueError(f"names the driver {driver}, but this service needs {wanted}")
    if backend == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise ValueError("names an in-memory database, which connections cannot share: use a file")
    if password := url.normalized_query.get("password"):
        # Where SQLAlchemy hides it.
        url = url.difference_update_query(["password"]).set(password=password[-1])
    return url.set(drivername=f"{backend}+{wanted}")


def _describe(error: ValidationError, prefix: str) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        if not name:
            name, _, text = text.partition(": ")
        lines.append(f"{prefix}{name.upper()}: {text}")
    return "\n".join(lines)

"""The command that serves HTTP."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ..commands import load_settings


def serve(
    reload: Annotated[bool, typer.Option(help="Restart when a file changes.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, envvar="WEB_CONCURRENCY", help="How many processes serve.")
    ] = 1,
) -> None:
    """Serve HTTP until told to stop; running requests are finished first."""
    settings = load_settings()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    options = [
        f"--config=python:{__package__}.server",
        f"--bind={host}:{settings.port}",
        f"--workers={workers}",
        *(["--reload"] if reload else []),
    ]
    # In place of this process, so that signals reach the server and its status is the command's.
    application = f"{__package__}.app:create_app()"
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *options, application])

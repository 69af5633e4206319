"""The command that serves HTTP."""

from __future__ import annotations

import os
import signal
import sys
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ..commands import load_settings, one_line_errors
from .logs import logging_config


def serve(
    reload: Annotated[bool, typer.Option(help="Restart when a file changes.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, envvar="WEB_CONCURRENCY", help="How many processes serve.")
    ] = 1,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request.")] = False,
) -> None:
    """Serve HTTP until told to stop; running requests are finished first."""
    settings = load_settings()
    import uvicorn

    from .tracing import exporters

    with one_line_errors():
        exporters()

    # The server raises it again when all is done, and that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with TemporaryDirectory(prefix="metrics-") as folder:
        if workers > 1:
            # Where the processes add up what they count.
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        uvicorn.run(
            f"{__package__}.app:create_served_app",
            factory=True,
            host=settings.host,
            port=settings.port,
            reload=reload,
            workers=workers,
            # The application has a line of its own for each request.
            access_log=False,
            log_config=logging_config(all_requests=access_log),
            timeout_graceful_shutdown=30,
        )

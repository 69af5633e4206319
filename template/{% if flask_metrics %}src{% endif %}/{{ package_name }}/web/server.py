"""How gunicorn serves the application; it reads these names."""

from __future__ import annotations

import gc
import logging.config
import os
import shutil
import sys
import tempfile
from typing import Any

from flask import Flask

from ..db.settings import SettingsError
from .logs import logging_config
from .tracing import exporters

worker_class = "gthread"
# More than there are connections, so that a health check is answered while requests wait for one.
threads = 40
graceful_timeout = 30
# It would be one file for all services of a user.
control_socket_disable = True


def on_starting(arbiter: Any) -> None:
    """Begin to log, and make the folder in which the processes add up what they count.

    Ends the process with one line if it cannot be told where the spans go.
    """
    try:
        exporters()
    except SettingsError as error:
        sys.exit(str(error))
    own = {"handlers": ["lines"], "propagate": False}
    logging.config.dictConfig(logging_config(all_requests=True, **{"gunicorn.error": own}))
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ and arbiter.cfg.workers > 1:
        folder = tempfile.mkdtemp(prefix="metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = arbiter.metrics_folder = folder


def on_exit(arbiter: object) -> None:
    """Remove the folder that was made."""
    if folder := getattr(arbiter, "metrics_folder", None):
        shutil.rmtree(folder, ignore_errors=True)


def post_worker_init(worker: object) -> None:
    """Leave the application out of garbage collection.

    To look through it takes a tenth of a second each time, and finds nothing.
    """
    gc.collect()
    gc.freeze()


def worker_exit(arbiter: object, worker: Any) -> None:
    """Close the connections of a process that has finished its requests."""
    # If the application could not be made, there is none, or one that only says why.
    application = getattr(worker, "wsgi", None)
    if isinstance(application, Flask):
        application.extensions["database"].dispose()

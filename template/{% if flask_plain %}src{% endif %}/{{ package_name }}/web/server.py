"""How gunicorn serves the application; it reads these names."""

from __future__ import annotations

import gc
from typing import Any

from flask import Flask

worker_class = "gthread"
# More than there are connections, so that a health check is answered while requests wait for one.
threads = 40
graceful_timeout = 30
accesslog = "-"
# It would be one file for all services of a user.
control_socket_disable = True


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

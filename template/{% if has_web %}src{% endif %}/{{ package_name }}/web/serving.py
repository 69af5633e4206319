"""What a process does before it serves."""

from __future__ import annotations

import gc


def settle() -> None:
    """Let garbage collection leave out what is there by now, and stays: the application.

    To look through it takes a tenth of a second, in which nobody is answered, and finds nothing.
    """
    gc.collect()
    gc.freeze()

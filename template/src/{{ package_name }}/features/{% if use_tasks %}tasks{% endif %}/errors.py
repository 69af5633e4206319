"""The errors of tasks.

ConflictError
└── InvalidTransitionError  the status may not follow the one that the task has
"""

from ...db.errors import ConflictError


class InvalidTransitionError(ConflictError):
    """The status may not follow the one that the task has."""

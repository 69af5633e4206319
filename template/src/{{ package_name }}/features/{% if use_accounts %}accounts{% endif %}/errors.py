"""The errors of accounts.

InvalidValueError
└── InvalidEmailError  a text is not an e-mail address
DuplicateError
└── EmailTakenError    another user has the e-mail address
"""

from ...db.errors import DuplicateError, InvalidValueError


class InvalidEmailError(InvalidValueError):
    """A text is not an e-mail address."""

    def __init__(self) -> None:
        super().__init__("This is not an e-mail address.")


class EmailTakenError(DuplicateError):
    """Another user has the e-mail address."""

    def __init__(self) -> None:
        super().__init__("Another user has this e-mail address.")

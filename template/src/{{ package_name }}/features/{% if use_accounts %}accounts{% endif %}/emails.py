"""How an e-mail address is written, so that one address is one text."""

from email_validator import EmailNotValidError, validate_email

from .errors import InvalidEmailError


def normalise_email(text: str) -> str:
    """Return the address as it is stored, all in lower case; raises InvalidEmailError."""
    try:
        return validate_email(text.lower(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise InvalidEmailError from None

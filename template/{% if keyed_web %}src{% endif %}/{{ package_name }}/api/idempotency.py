"""How a client says that a request is the same as one before."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

# In the standard's draft it is a text in quotation marks; most clients leave those out. Marks and
# blanks alone are no key: all clients that send them would share it.
Key = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=255, pattern=r'^[ "]*[!#-~][ -~]*$'
    ),
    AfterValidator(lambda text: text[1:-1] if text[0] == text[-1:] == '"' else text),
]


class OnceHeader(BaseModel):
    """The header of a request that is done once, however often it is sent."""

    idempotency_key: Key | None = Field(default=None, alias="Idempotency-Key")

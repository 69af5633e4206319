"""One e-mail address is one text."""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st
from shop.features.accounts.emails import normalise_email
from shop.features.accounts.errors import InvalidEmailError
from support import examples

LOCAL = st.text(st.characters(exclude_categories=["Cs", "Zs"]), min_size=1, max_size=8)
DOMAIN = st.sampled_from(
    ["example.com", "BÜCHER.example", "\uff25\uff38.de", "straße.de", "xn--fa-hia.de"]
)
ADDRESSES = st.emails() | st.tuples(LOCAL, DOMAIN).map("@".join) | st.text()


@examples(150)
@given(ADDRESSES)
@example("İ@example.com")
@example("ǅ@example.com")
@example("Å@EXAMPLE.com")
def test_normalising_twice_is_normalising_once_whatever_the_case(address: str) -> None:
    try:
        normal = normalise_email(address)
    except InvalidEmailError:
        assume(False)
    assert normalise_email(normal) == normal
    assert normalise_email(address.lower()) == normal
    assert normal == normal.lower()
    assert len(normal) <= 255

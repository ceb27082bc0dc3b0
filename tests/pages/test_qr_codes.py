"""QR codes of invitations: module for module as another encoder draws them."""

from __future__ import annotations

import hashlib

import pytest
from flask.testing import FlaskClient

from presence.transport.pages import qr_codes

# Of texts of so many letters: what another implementation of the standard makes of them, with the
# same mask, as the beginning of a hash of its rows. They are of versions 1 to 15.
DRAWN_ELSEWHERE = {
    1: "0b2a5ded825360b8e6469fe3",
    26: "271f21c471f378aa42cf1d97",
    60: "21d101f91073628766c5d765",
    150: "91ac6573dc1a682450e7e414",
    250: "114998f5f97808c5849e6edf",
    400: "e6754d626375ab4b8928c6eb",
}


@pytest.mark.parametrize("letters", DRAWN_ELSEWHERE)
def test_a_code_is_the_one_that_the_standard_says(letters: int) -> None:
    text = "".join(chr(97 + number * 7 % 26) for number in range(letters))
    matrix = qr_codes.encode(text.encode())
    assert matrix
    rows = "\n".join("".join("#" if dark else "." for dark in row) for row in matrix)
    assert hashlib.sha256(rows.encode()).hexdigest()[:24] == DRAWN_ELSEWHERE[letters]


def test_a_rooms_invitation_is_a_picture_that_holds_no_more_than_its_address(
    client: FlaskClient,
) -> None:
    answer = client.get("/rooms/studio/invitation.svg?token=secret")
    assert answer.mimetype == "image/svg+xml"
    assert answer.text == qr_codes.svg("http://localhost/rooms/studio")
    assert client.get(f"/rooms/{'😀' * 100}/invitation.svg").status_code == 404
    assert client.get("/rooms/%2E%2E/invitation.svg").status_code in (404, 422)

"""QR codes of invitations."""

from __future__ import annotations

from flask.testing import FlaskClient

from presence.transport.pages.rooms import qr_codes


def test_a_rooms_invitation_is_a_picture_that_holds_no_more_than_its_address(
    client: FlaskClient,
) -> None:
    answer = client.get("/rooms/studio/invitation.svg?token=secret")
    assert answer.mimetype == "image/svg+xml"
    assert answer.text == qr_codes.svg("http://localhost/rooms/studio")
    assert answer.text != qr_codes.svg("http://localhost/rooms/studios")
    assert client.get("/rooms/%2E%2E/invitation.svg").status_code in (404, 422)


def test_an_address_that_no_camera_would_read_has_no_picture(client: FlaskClient) -> None:
    assert qr_codes.svg("x" * 600)
    assert qr_codes.svg("x" * 601) is None
    assert client.get(f"/rooms/{'😀' * 100}/invitation.svg").status_code == 404

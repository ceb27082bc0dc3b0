"""Pictures are stored anew where the operator wants it: upright, and without what they tell."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import requests
from PIL import Image

from local_cluster.live_server import LiveServer
from presence.domain.files import file_types, pictures
from tests.support.tus import join
from tests.uploads.makers import picture

PLACE = "Somewhere 52.5 N"


def photograph(kind: str) -> bytes:
    """A picture that lies on its side and tells where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = PLACE
    return picture(kind, (40, 20), exif=exif.tobytes())


@pytest.mark.parametrize("kind", [file_types.JPEG, file_types.PNG, file_types.WEBP])
def test_a_picture_is_made_upright_and_tells_nothing(kind: file_types.FileType) -> None:
    name = kind.content_type.rpartition("/")[2].upper()
    content = photograph(name)
    assert PLACE.encode() in content
    out = io.BytesIO()
    pictures.reencode(io.BytesIO(content), kind, out)
    assert PLACE.encode() not in out.getvalue()
    made = Image.open(out)
    assert (made.size, made.format) == ((20, 40), name)
    assert dict(made.getexif()) == {}


@pytest.mark.parametrize("kind", [file_types.GIF, file_types.PNG, file_types.WEBP])
def test_an_animation_stays_one(kind: file_types.FileType) -> None:
    name = kind.content_type.rpartition("/")[2].upper()
    out = io.BytesIO()
    pictures.reencode(io.BytesIO(picture(name, frames=3)), kind, out)
    assert Image.open(out).n_frames == 3  # type: ignore[attr-defined]


def test_it_is_off_unless_it_is_asked_for(new_server: Callable[..., LiveServer]) -> None:
    content = photograph("JPEG")
    for setting, is_same in (("false", True), ("true", False)):
        server = new_server(PRESENCE_REENCODE_IMAGES=setting)
        join(server, "r")
        body = requests.post(
            f"{server.url}/api/webrtc/upload",
            files={"file": ("a.jpg", content)},
            data={"room_name": "r", "peer_id": "alice"},
            timeout=60,
        ).json()
        served = requests.get(server.url + body["file_url"], timeout=20).content
        assert len(served) == body["file_size"]
        assert (served == content) is is_same
        assert (PLACE.encode() in served) is is_same
        assert server.stored_files() == [body["filename"]]
        server.kill()

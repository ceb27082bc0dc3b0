"""The doctor: what it finds on a healthy server, and what it says on an ailing one."""

from __future__ import annotations

from collections.abc import Callable

import requests

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.support.visitors import Visitor


def states(visitor: Visitor) -> dict[str, str]:
    """Return what each check came to, once all are through."""
    visitor.page.locator("#copy-report:enabled").wait_for(timeout=60_000)
    cards = visitor.page.locator("[data-check]").all()
    return {
        str(card.get_attribute("data-check")): str(card.get_attribute("data-state"))
        for card in cards
    }


def test_everything_works_on_a_healthy_server_and_nothing_is_left_behind(
    visit: Visit, new_server: Callable[..., LiveServer]
) -> None:
    server = new_server()
    visitor = visit("/doctor", server=server)
    found = states(visitor)
    assert found.pop("ice") == "attention"
    assert set(found.values()) == {"ok"}
    visitor.sees("#check-ice", "The server names no STUN or TURN server")
    visitor.sees("#check-ice [data-remedy]", "PRESENCE_STUN_URLS")
    assert requests.get(f"{server.url}/api/webrtc/rooms", timeout=10).json() == {}


def test_a_room_that_others_use_stays(visit: Visit, new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    rooms = f"{server.url}/api/webrtc/rooms"
    for room in ("doctor", "studio"):
        requests.post(f"{rooms}/{room}/join", json={"peer_id": "who", "username": "W"}, timeout=10)
    requests.delete(f"{rooms}/studio/peers/who", timeout=10)
    states(visit("/doctor", server=server))
    assert [*requests.get(rooms, timeout=10).json()] == ["doctor", "studio"]
    other = requests.delete(f"{server.url}/doctor/rooms/studio", timeout=10)
    assert (other.status_code, other.json()["code"]) == (404, "room_not_found")
    kept = requests.get(f"{rooms}/doctor", timeout=10).json()["peers"]
    assert [peer["peer_id"] for peer in kept] == ["who"]


def test_a_server_for_its_own_origin_only_is_found_out_and_explained(
    visit: Visit, new_server: Callable[..., LiveServer]
) -> None:
    server = new_server(PRESENCE_ALLOWED_ORIGINS="https://app.example.org")
    visitor = visit("/doctor", server=server)
    found = states(visitor)
    assert found["elsewhere"] == "failed"
    visitor.sees("#check-elsewhere [data-found]", "Refused: REST")
    visitor.sees("#check-elsewhere [data-remedy]", "https://app.example.org")
    assert found["rest"] == "ok"


def test_a_proxy_that_cuts_websockets_and_uploads_is_found_out_and_explained(visit: Visit) -> None:
    visitor = visit("/")
    page = "<!doctype html><html><title>413</title></html>"
    visitor.page.route("**/api/webrtc/upload", lambda route: route.fulfill(status=413, body=page))
    visitor.page.add_init_script(
        "window.WebSocket = class { close() {} constructor() {"
        " setTimeout(() => this.onerror(new Event('error'))); } };"
    )
    visitor.open("/doctor")
    found = states(visitor)
    assert found["polling"] == "ok"
    assert found["websocket"] == "failed"
    assert found["upgrade"] == "skipped"
    assert found["upload"] == "failed"
    visitor.sees("#check-websocket [data-remedy]", "proxy_set_header Upgrade")
    visitor.sees("#check-upload [data-found]", "Status 413 with a web page")
    visitor.sees("#check-upload [data-remedy]", "client_max_body_size")


def test_a_page_in_front_of_the_server_is_found_out(visit: Visit) -> None:
    visitor = visit("/")
    page = "<!doctype html><html><body>Click to continue</body></html>"
    visitor.page.route("**/api/**", lambda route: route.fulfill(status=200, body=page))
    visitor.open("/doctor")
    found = states(visitor)
    assert found["rest"] == "failed"
    assert found["upload"] == "skipped"
    visitor.sees("#check-rest [data-found]", "a web page, which the server did not write")
    visitor.sees("#check-rest [data-remedy]", "consent page")

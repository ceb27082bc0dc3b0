"""What a room's page does while the server is away, and when it is back."""

from __future__ import annotations

from collections.abc import Callable

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.support.visitors import room_path, text_file

NewServer = Callable[..., LiveServer]


def test_a_join_during_an_outage_is_made_when_the_server_is_back(
    visit: Visit, new_server: NewServer, room: str
) -> None:
    server = new_server()
    ada = visit(room_path(room), server=server)
    ada.is_live()
    ada.page.clock.install()
    server.kill()
    ada.sees("#connection", "Connection lost")
    ada.sees("#people-card .hint", "how it was last")
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.page.clock.fast_forward(11_000)
    ada.sees("#you-news", "The server does not answer")
    ada.sees_no("#join-problem")
    server.start()
    ada.page.clock.fast_forward(5_000)
    ada.is_live()
    ada.sees("#you-news", "You are in the room")
    ada.sees_here("Ada")
    ada.sees_no("#people-card .hint")


def test_a_page_opened_during_an_outage_brings_one_back_later(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.clock.install()
    ada.page.route("**/socket.io/**", lambda route: route.abort())
    ada.page.route_web_socket("**/socket.io/**", lambda socket: socket.close())
    ada.page.reload()
    ada.page.clock.fast_forward(11_000)
    ada.sees("#connection", "Not connected")
    ada.page.unroute_all()
    ada.page.clock.fast_forward(8_000)
    ada.sees("#you-news", "You are in the room")


def test_an_upload_that_the_network_ended_is_sent_again(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.route("**/upload", lambda route: route.abort())
    ada.page.set_input_files("#file-input", text_file("a.txt", 10))
    state = ada.sees(".upload.refused .upload-state", "Not sent.").inner_text()
    assert state == "Not sent. The server does not answer."
    ada.page.unroute_all()
    ada.page.get_by_role("button", name="Retry").click()
    ada.sees("#files .file", "a.txt")


def test_what_cannot_be_deleted_just_now_is_said_and_stays(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.set_input_files("#file-input", text_file("a.txt", 10))
    delete = ada.page.get_by_role("button", name="Delete a.txt")
    delete.wait_for()
    ada.page.route("**/files/*", lambda route: route.abort())
    delete.click()
    ada.sees("#files-problem", "not deleted: the server does not answer")
    ada.page.unroute_all()
    ada.page.route("**/files/*", lambda route: route.fulfill(status=500, json={"detail": "Oh."}))
    delete.click()
    ada.sees("#files-problem", "not deleted. Oh.")
    ada.sees("#files .file", "a.txt")

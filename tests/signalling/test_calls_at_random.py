"""Pages in a call through random changes of what they send, of lines, of rooms and of tabs.

`PRESENCE_TEST_CHANGES` is how many changes there are, `PRESENCE_TEST_PAGES` up to how many pages,
`PRESENCE_TEST_SEED` which changes; the largest offer is printed. With `PRESENCE_TEST_FIREFOX` one
of the pages is Firefox.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from local_cluster.live_server import LiveServer
from tests.signalling.conftest import ON_EVENTLET, NewPage
from tests.signalling.firefox_page import FirefoxPage
from tests.signalling.pages import ClientPage
from tests.signalling.pictures import PAINT, open_pages, sees
from tests.support.firefox import Firefox

CHANGES = int(os.environ.get("PRESENCE_TEST_CHANGES", "20"))
PAGES = int(os.environ.get("PRESENCE_TEST_PAGES", "3"))
SEED = int(os.environ.get("PRESENCE_TEST_SEED", "1"))
# Bytes, of the 64 KiB that a server takes.
LARGEST_OF_MANY = 32 * 1024
KINDS = ["add", "remove", "replace", "fill", "hide", "move", "load", "lose", "sound", "tab"]
NAMES = ["ann", "ben", "cyd", "dan"]
COLOURS = ["red", "lime", "blue", "yellow"]

# What a page says of itself, for a failure's message.
WHERE = """[client.state, client.roomName, client.activePeers.map((peer) => peer.peer_id),
  (window.call?.connections ?? []).map(({ peerId, state, reason }) => [peerId, state, reason])]"""


class Sender:
    """A page of the campaign, and what the test knows of what it sends, and where."""

    def __init__(self, name: str, page: ClientPage, room: str, dice: random.Random) -> None:
        self.name = name
        self.page = page
        self.room = 0
        self._room_name = room
        self._largest = 0
        self._dice = dice
        self.enter()

    def enter(self) -> None:
        """Join the room that it is to be in, and call everybody, with nothing to show yet."""
        self.colours: list[str] = []
        self.hidden = False
        self.page.run("window.second?.close()")
        self.page.join(self._where(), self.name)
        self.page.run("() => { window.call = client.call(everyone); window.own = {} }")

    def _where(self) -> str:
        return f"{self._room_name} {self.room}"

    def largest_offer(self) -> int:
        """Return the bytes of the largest offer that it has sent, in any of its lives."""
        self._largest = max(self._largest, *self.page.run("[0, ...offers]"))
        return self._largest

    def shown(self) -> list[str]:
        return [] if self.hidden else sorted(self.colours)

    def change(self) -> str:
        """Do something at random; returns what it was."""
        name = self._dice.choice([*KINDS, "add"])
        getattr(self, f"_{name}")()
        return f"{self.name} {name} {self.colours}"

    def _free(self) -> str:
        return self._dice.choice([c for c in COLOURS if c not in self.colours])

    def _add(self) -> None:
        if len(self.colours) == len(COLOURS):
            return
        colour = self._free()
        self.page.run("(colour) => call.addStream(own[colour] = painted(colour))", colour)
        self.colours.append(colour)

    def _remove(self) -> None:
        if self.colours:
            colour = self.colours.pop(self._dice.randrange(len(self.colours)))
            self.page.run("(colour) => call.removeStream(own[colour])", colour)

    def _replace(self) -> None:
        """Let the stream stay, but put another track into it."""
        if not 0 < len(self.colours) < len(COLOURS):
            return
        colour = self._free()
        self.page.run(
            """([old, colour]) => {
              const stream = own[old];
              delete own[old];
              const [track] = stream.getTracks();
              stream.removeTrack(track);
              stream.addTrack(painted(colour).getTracks()[0]);
              own[colour] = stream;
            }""",
            [self.colours.pop(0), colour],
        )
        self.colours.append(colour)

    def _fill(self) -> None:
        """Send one stream in the place of all."""
        colour = self._dice.choice(COLOURS)
        script = "own = { [colour]: painted(colour) }; call.setStream(own[colour])"
        self.page.run(f"(colour) => {{ {script} }}", colour)
        self.colours = [colour]

    def _hide(self) -> None:
        self.hidden = not self.hidden
        self.page.run(f"() => call.{'hide' if self.hidden else 'show'}()")

    def _move(self) -> None:
        self.room = 1 - self.room
        self.enter()

    def _load(self) -> None:
        self.largest_offer()
        self.page.load()
        self.page.run(PAINT)
        self.enter()

    def _lose(self) -> None:
        self.page.run("() => { client.socket.io.engine.close() }")

    def _tab(self) -> None:
        """Open or close a second tab of the same person, newer than this one; it takes no calls."""
        self.page.run(
            """async ([room, peerId]) => {
              if (window.second?.roomName) return second.close();
              window.second = new PresenceClient(window.server);
              await second.join(room, { peerId });
            }""",
            [self._where(), self.name],
        )

    def _sound(self) -> None:
        self.page.run("() => call.addStream(tone())")


@ON_EVENTLET
@pytest.mark.parametrize("count", range(2, PAGES + 1))
@pytest.mark.timeout(120 + CHANGES * 20)
def test_everybody_sees_exactly_who_is_to_be_seen_through_random_changes(
    server: LiveServer, client_page: NewPage, room: str, count: int
) -> None:
    change_at_random(open_pages(client_page, server, NAMES[:count]), room)


@ON_EVENTLET
@pytest.mark.skipif(
    "PRESENCE_TEST_FIREFOX" not in os.environ, reason="PRESENCE_TEST_FIREFOX=firefox-esr asks it"
)
@pytest.mark.timeout(240 + CHANGES * 20)
def test_firefox_and_chromium_see_each_other_through_random_changes(
    server: LiveServer,
    client_page: NewPage,
    room: str,
    folder_server: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "site").mkdir()
    firefox = Firefox(os.environ["PRESENCE_TEST_FIREFOX"], tmp_path / "profile")
    try:
        page = FirefoxPage(firefox, server, folder_server(tmp_path / "site"), patience=2000)
        page.run(PAINT)
        pages = open_pages(client_page, server, NAMES[: PAGES - 1])
        change_at_random({**pages, NAMES[PAGES - 1]: page}, room)
    finally:
        firefox.close()


def change_at_random(pages: dict[str, ClientPage], room: str) -> None:
    """Change what pages do, and see after each change who is seen by whom."""
    dice = random.Random(SEED)
    senders = [Sender(name, page, room, dice) for name, page in pages.items()]
    history = []
    for _ in range(CHANGES):
        history.append(dice.choice(senders).change())
        if dice.random() < 0.4:
            # The next change comes before this one is through.
            continue
        for viewer in senders:
            others = [s for s in senders if s is not viewer and s.room == viewer.room]
            try:
                sees(viewer.page, {other.name: other.shown() for other in others}, 40)
            except AssertionError as error:
                told = {sender.name: sender.page.run(WHERE) for sender in senders}
                message = f"{viewer.name}: {error}; after {history}; {told}"
                raise AssertionError(message) from None
    largest = max(sender.largest_offer() for sender in senders)
    print(f"{len(pages)} pages through {CHANGES} changes: no offer over {largest} bytes")
    assert largest < LARGEST_OF_MANY

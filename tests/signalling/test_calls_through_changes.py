"""Chromium pages in a call through changes of what they send, of rooms and of tabs."""

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

# How many changes, and up to how many pages; the largest offer is printed. A server takes 64 KiB.
CHANGES = int(os.environ.get("PRESENCE_TEST_CHANGES", "20"))
PAGES = int(os.environ.get("PRESENCE_TEST_PAGES", "3"))
SEED = int(os.environ.get("PRESENCE_TEST_SEED", "1"))
LARGEST_OFFER = 16 * 1024
LARGEST_OF_MANY = 32 * 1024
KINDS = ["add", "remove", "replace", "fill", "hide", "move", "load", "lose", "sound", "tab"]
NAMES = ["ann", "ben", "cyd", "dan"]
COLOURS = ["red", "lime", "blue", "yellow"]

# What a page says of itself, for a failure's message.
WHERE = """[client.state, client.roomName, client.activePeers.map((peer) => peer.peer_id),
  (window.call?.connections ?? []).map(({ peerId, state, reason }) => [peerId, state, reason])]"""


@ON_EVENTLET
def test_a_screen_shared_a_hundred_times_makes_no_larger_offers(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name)
    pages["ann"].run("() => { window.call = client.call(everyone, [painted('red'), tone()]) }")
    pages["ben"].run("() => { window.call = client.call(everyone, painted('blue')) }")
    sees(pages["ben"], {"ann": ["red"]})
    pages["ann"].run(
        """async () => {
          for (let i = 0; i < 100; i += 1) {
            const screen = painted("lime");
            call.addStream(screen);
            await new Promise((later) => setTimeout(later, 40));
            call.removeStream(screen);
            screen.getTracks().forEach((track) => track.stop());
            await new Promise((later) => setTimeout(later, 20));
          }
          call.addStream(painted("yellow"));
        }"""
    )
    sees(pages["ben"], {"ann": ["red", "yellow"]})
    sees(pages["ann"], {"ben": ["blue"]})
    for page in pages.values():
        assert max(page.run("offers") or [0]) < LARGEST_OFFER
        page.run("() => { window.same = Object.values(connections)[0].pc }")
    sections = pages["ann"].run("connections.ben.pc.getTransceivers().length")
    assert sections <= 4


@ON_EVENTLET
def test_a_track_is_replaced_and_paused_in_its_place(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone) }")
    ann, ben = pages["ann"], pages["ben"]
    ann.run("() => call.setStream(window.camera = painted('red'))")
    sees(ben, {"ann": ["red"]})
    before = len(ann.run("offers"))
    ann.run(
        "() => call.replaceTrack(call.tracks[0], (window.screen2 = painted('lime')).getTracks()[0])"
    )
    sees(ben, {"ann": ["lime"]})
    ann.run("() => call.setStream(painted('yellow'))")
    sees(ben, {"ann": ["yellow"]})
    ann.run("() => call.hide()")
    sees(ben, {"ann": []})
    assert ben.run("[connections.ann.hidden, connections.ann.muted]") == [True, False]
    ann.run("() => call.show()")
    sees(ben, {"ann": ["yellow"]})
    assert len(ann.run("offers")) == before
    # What is removed while it is hidden does not come back, not even dark.
    ann.run("() => { call.addStream(window.screen3 = painted('blue')); call.hide() }")
    ann.run("() => { call.removeStream(screen3); call.show() }")
    sees(ben, {"ann": ["yellow"]})
    # A program changes the tracks of its stream, of which no browser tells.
    ann.run(
        """() => {
          window.mine = painted('red');
          call.setStream(mine);
          const [old] = mine.getTracks();
          mine.removeTrack(old);
          mine.addTrack(painted('blue').getTracks()[0]);
        }"""
    )
    sees(ben, {"ann": ["blue"]})
    # A track in no stream.
    ann.run("() => { call.setStream(null); call.addTrack(painted('lime').getTracks()[0]) }")
    sees(ben, {"ann": ["lime"]})
    ann.run("() => call.removeTrack(call.tracks[0])")
    sees(ben, {"ann": []})


@ON_EVENTLET
@pytest.mark.parametrize("what", ["offer", "answer"])
def test_what_is_lost_on_its_way_while_the_call_is_up_is_said_again(
    server: LiveServer, client_page: NewPage, room: str, what: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone) }")
    ann, ben = pages["ann"], pages["ben"]
    ann.connected_to("ben")
    ben.connected_to("ann")
    for page in pages.values():
        page.run(
            """(what) => {
              const { signal } = client;
              client.signal = (to, data, how) => {
                if (how?.type !== what) return signal(to, data, how);
                client.signal = signal;
                return Promise.resolve({ status: "delivered" });
              };
            }""",
            what,
        )
    ann.run("() => call.addStream(painted('red'))")
    sees(ben, {"ann": ["red"]})


@ON_EVENTLET
def test_what_was_switched_off_is_said_again_after_a_line_was_lost(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    """It may have been handed over to the line that was about to be lost."""
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone, painted('red')) }")
    ann, ben = pages["ann"], pages["ben"]
    sees(ann, {"ben": ["red"]})
    ben.run(
        """() => {
          const { signal } = client;
          client.signal = (to, data, how) => {
            if (how?.type !== "media") return signal(to, data, how);
            client.signal = signal;
            return Promise.resolve({ status: "delivered" });
          };
          call.hide();
        }"""
    )
    ann.run("() => { client.socket.io.engine.close() }")
    sees(ann, {"ben": []})
    assert ann.run("connections.ben.hidden") is True


# Holds candidates back, so that there is no path before they are let go.
HOLD = """() => {
  const { signal } = client;
  const held = [];
  window.letGo = () => {
    client.signal = signal;
    for (const one of held) signal.apply(client, one).catch(() => {});
  };
  client.signal = (...one) => {
    if (one[2]?.type === "offer" && (window.offersSent = (window.offersSent ?? 0) + 1) === 2) {
      window.stateThen = connections[one[0]].state;
      letGo();
    } else if (one[2]?.type === "candidate") held.push(one);
    else return signal.apply(client, one);
    return Promise.resolve({ status: "delivered" });
  };
}"""


@ON_EVENTLET
def test_an_offer_that_is_lost_before_there_is_a_path_is_said_again(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name, answers=name == "ann")
        page.run(HOLD)
    ann, ben = pages["ann"], pages["ben"]
    ben.run("() => { window.call = client.call('ann') }")
    ben.page.wait_for_function("() => connections.ann.remoteId !== null")
    # Its first offer is answered; the second one, of this stream, is lost.
    ben.run("() => call.addStream(painted('red'))")
    ben.page.wait_for_function("() => offersSent === 2")
    assert ben.run("stateThen") == "connecting"
    ann.run("() => letGo()")
    ann.run("() => { window.call = { connections: [connections.ben] } }")  # as one that called
    sees(ann, {"ben": ["red"]})


@ON_EVENTLET
@pytest.mark.parametrize("first", ["ann", "ben"])
def test_pictures_go_on_where_both_begin_to_send_at_once(
    server: LiveServer, client_page: NewPage, room: str, first: str
) -> None:
    """One of both takes its offer back, after which Chromium may show nothing of what comes in."""
    pages = open_pages(client_page, server, ["ann", "ben"])
    second = "ben" if first == "ann" else "ann"
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone) }")
    pages[first].run("() => call.addStream(painted('red'))")
    sees(pages[second], {first: ["red"]})
    for page in pages.values():
        page.run(
            """() => {
              const { signal } = client;
              const kept = [];
              window.goOn = () => {
                client.signal = signal;
                for (const one of kept) signal.apply(client, one).catch(() => {});
              };
              client.signal = (...one) => {
                if (one[2]?.type !== "offer") return signal.apply(client, one);
                kept.push(one);
                return Promise.resolve({ status: "delivered" });
              };
            }"""
        )
    colours = {first: "blue", second: "lime"}
    for name, page in pages.items():
        page.run("(colour) => call.addStream(painted(colour))", colours[name])
        other = second if name == first else first
        page.page.wait_for_function(
            "(id) => connections[id].pc.signalingState === 'have-local-offer'", arg=other
        )
    for page in pages.values():
        page.run("() => goOn()")
    sees(pages[second], {first: ["blue", "red"]})
    sees(pages[first], {second: ["lime"]})
    pages[first].run(
        "() => call.replaceTrack(call.tracks[0], painted('yellow').getTracks()[0])",
    )
    sees(pages[second], {first: ["blue", "yellow"]})


SECOND_TAB = """async (room) => {
  window.second = new PresenceClient(window.server);
  await second.join(room, { peerId: client.peerId });
}"""


@ON_EVENTLET
def test_a_second_tab_does_not_disturb_a_call_in_which_a_line_was_lost(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    ann, ben = pages["ann"], pages["ben"]
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone, painted('red')) }")
    sees(ann, {"ben": ["red"]})
    ann.run(SECOND_TAB, room)
    ben.page.wait_for_function("() => client.activePeers.some((peer) => peer.session_count === 2)")
    for page in pages.values():
        page.run("() => { window.same = Object.values(connections)[0].pc }")
    ben.run("() => { client.socket.io.engine.close(); call.addStream(painted('blue')) }")
    sees(ann, {"ben": ["blue", "red"]})
    ben.run("() => call.addStream(painted('lime'))")
    sees(ann, {"ben": ["blue", "lime", "red"]})
    sees(ben, {"ann": ["red"]})
    for page in pages.values():
        assert page.run("same === Object.values(connections)[0].pc")


@ON_EVENTLET
def test_who_reloads_the_page_is_called_again_beside_a_second_tab(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben", "cyd"])
    for name, page in pages.items():
        page.join(room, "ann" if name == "cyd" else name)
        if name != "cyd":
            page.run("() => { window.call = client.call(everyone, painted('red')) }")
    ann, ben = pages["ann"], pages["ben"]
    sees(ben, {"ann": ["red"]})
    for who in (ann, ben):
        who.load()
        who.run(PAINT)
        who.join(room, "ann" if who is ann else "ben")
        who.run("() => { window.call = client.call(everyone, painted('lime')) }")
        sees(ben, {"ann": ["lime"]})
    sees(ann, {"ben": ["lime"]})


@ON_EVENTLET
def test_a_session_that_takes_no_calls_lets_another_of_the_peer_take_it(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    ann, takes, takes_not = (client_page(server, patience=2000) for _ in range(3))
    ann.join(room, "ann")
    takes.join(room, "ben", answers=True)
    takes_not.join(room, "ben")
    ann.call("ben")
    ann.connected_to("ben")
    takes.connected_to("ann")
    assert ann.run("connections.ben.session") == takes.run("client.session")


@ON_EVENTLET
def test_what_does_not_fit_a_data_channel_is_refused_and_much_waits_for_room(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    ann, ben = client_page(server), client_page(server)
    ann.join(room, "ann")
    ben.join(room, "ben", answers=True)
    ann.call("ben")
    ann.connected_to("ben")
    ben.connected_to("ann")
    told = ann.run(
        """async () => {
          const code = (promise) => promise.then(() => "sent", (error) => error.code);
          const { ben } = connections;
          const large = await code(ben.send("x".repeat(3_000_000)));
          const most = [];
          for (let i = 0; i < 300; i += 1) {
            await ben.send(new Uint8Array(60_000).fill(i));
            most.push(ben.channel.bufferedAmount);
          }
          await ben.send("the end");
          return [large, Math.max(...most) < 2_000_000];
        }"""
    )
    assert told == ["too_large", True]
    ben.hears("ann", "the end")
    count = ben.run("heard.ann.filter((message) => message instanceof ArrayBuffer).length")
    assert count == 300
    ann.run("connections.ben.close()")
    code = "connections.ben.send('x').catch((error) => error.code)"
    assert ann.run(code) == "not_open"


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

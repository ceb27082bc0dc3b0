"""Chromium pages in a call, in which one change after the other is made, or goes wrong."""

from __future__ import annotations

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import ON_EVENTLET, NewPage
from tests.signalling.pictures import PAINT, open_pages, sees

# Bytes, of the 64 KiB that a server takes.
LARGEST_OFFER = 24 * 1024


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
        # Who offers when decides how many sections there are in the beginning, and no screen more.
        offers = page.run("offers") or [0]
        early, late = max(offers[:20]), max(offers[20:] or [0])
        assert late <= 1.05 * early < LARGEST_OFFER, offers
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
def test_a_stream_with_a_name_is_told_apart_and_goes_on_when_the_camera_is_hidden(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = open_pages(client_page, server, ["ann", "ben"])
    for name, page in pages.items():
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone) }")
    ann, ben = pages["ann"], pages["ben"]
    ann.run("() => { call.addStream(painted('red')); call.addStream(painted('lime'), 'screen') }")
    sees(ben, {"ann": ["lime", "red"]})
    names = "connections.ann.remoteStreams.map((one) => connections.ann.nameOf(one)).sort()"
    assert ben.run(names) == [None, "screen"]
    ann.run("() => { call.hide(); call.mute() }")
    eventually(lambda: ben.run("connections.ann.hidden") is True, "ann's camera is off")
    sent = "connections.ben.pc.getSenders().filter((one) => one.track).length"
    assert ann.run(sent) == 1
    assert ben.run(names) == [None, "screen"]
    ann.run("() => { call.removeStream(call.streams[1]); call.show() }")
    sees(ben, {"ann": ["red"]})


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

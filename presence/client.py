"""A client of the server for Python programs: joins a room, and stays in it whatever happens.

It stands alone: with ``client_wire.py`` beside it, it needs ``python-socketio[client]`` and
``requests`` and nothing of the server, so both files can be copied into another project.

    with PresenceClient("https://presence.example.org", peer_id="robot-7") as client:
        client.on("signal", lambda signal: print(signal["from"], signal["data"]))
        client.join("workshop", user_data={"role": "welder"})
        client.signal("user123", {"hello": True})

Calls block until the server has answered, and raise `PresenceError` with its code and sentence
otherwise. Callbacks run one after the other in a thread of their own, where such calls are allowed.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from presence.client_wire import Body, Http, PresenceError, Token, Wire

__all__ = ["PresenceClient", "PresenceError"]

log = logging.getLogger(__name__)

Callback = Callable[[Any], object]

_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
# A refusal of these kinds passes; any other would only be repeated.
_PASSING = {"room_full", "shutting_down", "storage_unavailable", "internal_error", "timeout"}
_FORWARDED = ("user_data_updated", "file_uploaded", "file_deleted", "signal", "broadcast")


class PresenceClient:
    """One peer's connection to a Presence server.

    ``state`` is idle, connected, joined, reconnecting or closed; ``peers`` is the newest list of
    the room ``room_name``, and ``version`` that list's. The peer_id is random unless given, and the
    username is the peer_id. Every call waits at most `timeout` seconds. A locked server wants a
    `token`: one, or a function that fetches a fresh one, which is asked before every connection,
    also after a lost one, and before every request.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:3001",
        *,
        peer_id: str | None = None,
        username: str | None = None,
        timeout: float = 10.0,
        token: Token | None = None,
    ) -> None:
        address = re.match(r"([a-z]+://[^/?#]+)([^?#]*)", url, re.IGNORECASE)
        if address is None:
            raise PresenceError(
                "invalid_address",
                f"“{url}” is not the address of a server, with http:// or https://.",
            )
        self.url = address[1] + address[2].rstrip("/")
        self.peer_id = peer_id or f"peer-{uuid.uuid4()}"
        self.username = username or self.peer_id
        self.timeout = timeout
        self.state = "idle"
        self.room_name: str | None = None
        self.peers: list[Body] = []
        self.version = 0
        self._http = Http(self.url, timeout, token)
        self._callbacks: defaultdict[str, list[Callback]] = defaultdict(list)
        self._happened: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        # Guards all of the state below, and is notified whenever it changes.
        self._changed = threading.Condition(threading.RLock())
        # The join under way, the one to repeat after a reconnect, and our peer as the room has it.
        self._asked: Body | None = None
        self._wanted: Body | None = None
        self._own: Body | None = None
        self._wire = Wire(address[1], address[2], token)
        self._listen()
        threading.Thread(target=self._run_callbacks, name="presence", daemon=True).start()

    def __enter__(self) -> PresenceClient:
        """Connect."""
        self.connect()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Disconnect."""
        self.close()

    @property
    def active_peers(self) -> list[Body]:
        """The peers of the list that are active now."""
        return [peer for peer in self.peers if peer["is_active"]]

    @property
    def session(self) -> str | None:
        """This connection's session id, by which `signal` can address one of several."""
        return self._wire.sid

    def on(self, event: str, callback: Callback | None = None) -> Any:
        """Call `callback` with one argument whenever `event` happens; usable as a decorator.

        Events: joined, left, peers, peer_joined, peer_left, state, disconnected, error, signal,
        signal_expired, broadcast, user_data_updated, file_uploaded, file_deleted.
        """
        if callback is None:
            return lambda decorated: self.on(event, decorated)
        self._callbacks[event].append(callback)
        return callback

    def off(self, event: str, callback: Callback) -> None:
        """Stop calling `callback`."""
        if callback in self._callbacks[event]:
            self._callbacks[event].remove(callback)

    def wait_for(
        self, condition: Callable[[PresenceClient], Any], timeout: float | None = None
    ) -> Any:
        """Wait until `condition(client)` is true, and return it; raises `TimeoutError`.

        It is looked at again whenever the state or the list of peers has changed.
        """
        with self._changed:
            value = self._changed.wait_for(lambda: condition(self), timeout or self.timeout)
        if not value:
            raise TimeoutError("the condition did not come true in time")
        return value

    def connect(self) -> None:
        """Connect; `join` does it too.

        Raises `PresenceError`: ``unreachable``, or why the server refuses the token.
        """
        until = time.monotonic() + self.timeout
        while self.state != "closed" and not self._wire.is_connected:
            if self.state == "reconnecting":
                self._wait_until_ready(until, joining=True)
            elif not self._wire.connect(self.timeout):
                if self._wire.refusal is not None:
                    raise self._wire.refusal
                if time.monotonic() + 0.5 > until:
                    raise self._http.unreachable()
                time.sleep(0.5)

    def join(
        self,
        room_name: str,
        *,
        peer_id: str | None = None,
        username: str | None = None,
        user_data: Body | None = None,
    ) -> Body:
        """Join a room, leaving the one joined before; returns the answer with the room's peers."""
        if peer_id is not None and self.username == self.peer_id:
            self.username = peer_id
        self.peer_id = peer_id or self.peer_id
        self.username = username or self.username
        self.connect()
        join = {"room_name": room_name, "peer_id": self.peer_id, "username": self.username}
        return self._join({**join, "user_data": user_data or {}})

    def leave(self) -> Body:
        """Leave the room. A lost connection leaves it too, so that is no error."""
        with self._changed:
            self._wanted = None
            lost = self.state == "reconnecting"
        if not lost:
            try:
                return self._request("leave_room", {})
            except PresenceError as error:
                if error.code != "connection_lost":
                    raise
        return self._left({"room_name": self.room_name, "reason": "left"})

    def update(
        self,
        user_data: Body | None = None,
        *,
        remove: list[str] | None = None,
        replace: bool = False,
    ) -> Body:
        """Merge into one's user data; `remove` names keys to delete, `replace` starts afresh."""
        message = {"user_data": user_data or {}, "remove": remove or [], "replace": replace}
        answer = self._request("update_user_data", message, repeatable=True)
        with self._changed:
            if self._own is not None:
                self._own = {**self._own, "user_data": answer["user_data"]}
        return answer

    def signal(
        self, to: str, data: Any, *, type: str | None = None, session: str | None = None
    ) -> Body:
        """Send any JSON to one peer of the room; the answer's ``status`` is delivered or held.

        Raises `PresenceError`: ``unknown_peer``, ``inactive``, ``not_joined``, ``too_large``, or
        ``connection_lost`` when nobody knows whether it arrived.
        """
        message = {"to": to, "data": data, "type": type, "to_session": session}
        return self._request("signal", message)

    def broadcast(self, event: str, data: Any = None) -> Body:
        """Send an application's message to everyone else in the room."""
        return self._request("broadcast", {"event": event, "data": data})

    def upload(
        self,
        file: str | Path | IO[bytes],
        *,
        name: str | None = None,
        on_progress: Callable[[int, int], object] | None = None,
        abort: threading.Event | None = None,
    ) -> Body:
        """Upload a file, by its path or open for reading; returns what the server made of it.

        `on_progress(sent, total)` counts bytes; setting `abort` makes it raise (``aborted``).
        """
        if isinstance(file, (str, Path)):
            with Path(file).open("rb") as opened:
                return self.upload(
                    opened, name=name or Path(file).name, on_progress=on_progress, abort=abort
                )
        name = name or Path(getattr(file, "name", "file")).name
        form = {"room_name": self.room_name or "", "peer_id": self.peer_id}
        return self._http.upload("/api/webrtc/upload", form, (name, file), on_progress, abort)

    def ice_servers(self) -> Body:
        """Return ``iceServers`` for an RTCPeerConnection; credentials last ``ttl`` seconds."""
        query = {"room_name": self.room_name or "", "peer_id": self.peer_id}
        return self._http.get("/api/webrtc/ice-servers", query)

    def close(self) -> None:
        """Disconnect for good: the peer is inactive at once."""
        with self._changed:
            if self.state == "closed":
                return
            joined, self._wanted = self.state == "joined", None
            self._set_state("closed")
        if joined:
            # Closing alone may cut the connection before the goodbye is out, as if it were lost.
            with contextlib.suppress(PresenceError):
                self._wire.ask("leave_room", {}, 1.0)
        self._wire.close()
        if self.room_name is not None:
            self._left({"room_name": self.room_name, "reason": "closed"})
        self._happened.put(None)

    def _listen(self) -> None:
        self._wire.on("connect", self._connected)
        self._wire.on("disconnect", self._disconnected)
        self._wire.on("refused", self._refused)
        self._wire.on("join_room_success", self._joined)
        self._wire.on("leave_room_success", self._left)
        self._wire.on("peer_list_updated", self._listed)
        self._wire.on("signal_error", self._signal_failed)
        for event in _FORWARDED:
            self._wire.on(event, lambda body, event=event: self._happened.put((event, body)))

    def _connected(self) -> None:
        with self._changed:
            if self.state == "closed":
                # Closing crossed a reconnect that was already on its way.
                threading.Thread(target=self._wire.close, daemon=True).start()
            self._set_state("connected")
            if self._wanted is not None:
                threading.Thread(target=self._rejoin, args=(self._wanted,), daemon=True).start()

    def _disconnected(self, reason: str = "") -> None:
        with self._changed:
            if self.state != "closed":
                self._set_state("reconnecting")
        self._happened.put(("disconnected", reason))

    def _refused(self, error: PresenceError) -> None:
        """Tell that the server does not let us back in; with a fresh token it may, later."""
        with self._changed:
            if self.state == "reconnecting":
                self._happened.put(("error", error))

    def _join(self, join: Body) -> Body:
        self._asked = join
        return self._request("join_room", join, repeatable=True, joining=True)

    def _rejoin(self, join: Body) -> None:
        """Join again with what was asked last, but without user data: the server keeps that."""
        for attempt in range(1_000_000):
            try:
                self._join({**join, "user_data": {}})
                return
            except PresenceError as error:
                with self._changed:
                    if error.code == "connection_lost" or self._wanted is not join:
                        return
                    self._happened.put(("error", error))
                    if error.code not in _PASSING:
                        self._left({"room_name": self.room_name, "reason": error.code})
                        return
                    wait = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
                    self._changed.wait_for(lambda: self.state in ("closed", "reconnecting"), wait)

    def _joined(self, body: Body) -> None:
        with self._changed:
            rejoined = self._wanted is not None
            asked = self._asked or {}
            self._wanted = {**asked, "room_name": body["room_name"], "peer_id": body["peer_id"]}
            self.peer_id = body["peer_id"]
            if self.room_name != body["room_name"]:
                self.peers = []
                self._own = None
            self.room_name = body["room_name"]
            lost = self._own
            self._apply(body)
            self._set_state("joined")
            self._happened.put(("joined", {**body, "rejoined": rejoined}))
        self._restore(lost)

    def _restore(self, lost: Body | None) -> None:
        """Put our user data back if the server had to make the peer anew, having lost it."""
        own = self._own
        if lost and own and lost["joined_at"] != own["joined_at"] and not own["user_data"]:
            threading.Thread(
                target=self._try_update, args=(lost["user_data"],), daemon=True
            ).start()

    def _try_update(self, user_data: Body) -> None:
        try:
            self.update(user_data)
        except PresenceError as error:
            self._happened.put(("error", error))

    def _left(self, body: Body) -> Body:
        with self._changed:
            if body["room_name"] == self.room_name:
                self._wanted = self._own = self.room_name = None
                self.peers, self.version = [], 0
                if self.state == "joined":
                    self._set_state("connected")
                self._happened.put(("left", body))
        return body

    def _listed(self, body: Body) -> None:
        with self._changed:
            if body["room_name"] == self.room_name and body["version"] > self.version:
                self._apply(body)

    def _signal_failed(self, body: Body) -> None:
        # Failures are the acknowledgement's to report; only this one comes after it.
        if body["code"] == "expired":
            self._happened.put(("signal_expired", body))

    def _apply(self, body: Body) -> None:
        was_active = {peer["peer_id"]: peer for peer in self.active_peers}
        self.peers, self.version = body["peers"], body["version"]
        self._own = next((p for p in self.peers if p["peer_id"] == self.peer_id), self._own)
        self._happened.put(("peers", body))
        for peer in self.active_peers:
            if was_active.pop(peer["peer_id"], None) is None:
                self._happened.put(("peer_joined", peer))
        for peer in was_active.values():
            self._happened.put(("peer_left", peer))
        self._changed.notify_all()

    def _request(
        self, event: str, data: Body, *, repeatable: bool = False, joining: bool = False
    ) -> Body:
        """Send an event once it can be, and return the server's answer."""
        until = time.monotonic() + self.timeout
        while True:
            self._wait_until_ready(until, joining=joining)
            try:
                return self._wire.ask(event, data, max(until - time.monotonic(), 0.001))
            except PresenceError as error:
                # Nobody knows whether it arrived; what may arrive twice is simply sent again.
                if error.code != "connection_lost" or not repeatable or self.state == "closed":
                    raise

    def _wait_until_ready(self, until: float, *, joining: bool) -> None:
        def is_ready() -> bool:
            rejoining = self._wanted is not None and self.state != "joined" and not joining
            return self.state in ("connected", "joined") and not rejoining

        with self._changed:
            if self.state in ("idle", "closed"):
                raise PresenceError(
                    "not_connected", "There is no connection. Call connect() or join() first."
                )
            wait = max(until - time.monotonic(), 0)
            if not self._changed.wait_for(lambda: is_ready() or self.state == "closed", wait):
                raise self._http.unreachable()
            if self.state == "closed":
                raise self._http.unreachable()

    def _set_state(self, state: str) -> None:
        if self.state not in (state, "closed"):
            self.state = state
            self._happened.put(("state", state))
            self._changed.notify_all()

    def _run_callbacks(self) -> None:
        while (happened := self._happened.get()) is not None:
            event, value = happened
            for callback in list(self._callbacks[event]):
                try:
                    callback(value)
                except Exception:
                    log.exception("a callback of %r failed", event)

"""How the Python client reaches the server: a socket that answers in order, and HTTP."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import IO, Any

import engineio
import requests
import socketio

log = logging.getLogger(__name__)

Body = dict[str, Any]
Progress = Callable[[int, int], object]
# A token for a locked server, or a function that fetches a fresh one.
Token = str | Callable[[], str]


class PresenceError(Exception):
    """A condition that the server, the network or the client itself reports.

    ``code`` is for programs, ``detail`` for people, ``body`` the server's whole answer.
    """

    def __init__(self, code: str, detail: str, body: Body | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.body = body or {}


class _EngineIo(engineio.Client):  # type: ignore[misc]
    """Engine.IO's client, but handling messages in order: its own starts a thread for each."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})


class _SocketIo(socketio.Client):  # type: ignore[misc]
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _EngineIo


class _Question:
    """An event whose acknowledgement somebody waits for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Body | None = None

    def settle(self, answer: Body | None = None) -> None:
        """Let the waiting one go on, without an answer if the connection was lost."""
        self.answer = answer
        self.done.set()


class Wire:
    """A Socket.IO connection that is made again by itself whenever it is lost."""

    def __init__(self, origin: str, path: str, token: Token | None = None) -> None:
        # Why the server refused the last connection, if it did.
        self.refusal: PresenceError | None = None
        self._token = token
        self._origin = origin
        self._path = f"{path.strip('/')}/socket.io".strip("/")
        self._lock = threading.Lock()
        self._questions: set[_Question] = set()
        self._is_up = False
        self._handlers: dict[str, Callable[..., object]] = {}
        self._sio = _SocketIo(
            reconnection_delay=0.5, reconnection_delay_max=3, randomization_factor=0.25
        )
        self._sio.on("connect", self._found)
        self._sio.on("disconnect", self._lost)
        self._sio.on("connect_error", self._refused)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(self._sio.connected)

    @property
    def sid(self) -> str | None:
        """The connection's Socket.IO id, or None."""
        sid: str | None = self._sio.namespaces.get("/")
        return sid

    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call `handler` when `event` comes, in the order of coming; it must not wait.

        ``refused`` comes with the `PresenceError` for which the server takes no connection.
        """
        if event in ("connect", "disconnect", "refused"):
            self._handlers[event] = handler
        else:
            self._sio.on(event, handler)

    def connect(self, seconds: float) -> bool:
        """Try to connect once; return whether it succeeded."""
        self.refusal = None
        try:
            self._sio.connect(
                self._origin, auth=self._auth, socketio_path=self._path, wait_timeout=seconds
            )
        except socketio.exceptions.ConnectionError:
            return False
        return True

    def ask(self, event: str, data: Body, seconds: float) -> Body:
        """Send an event and return the server's answer.

        Raises `PresenceError`: the server's, ``timeout``, or ``connection_lost``.
        """
        question = _Question()
        with self._lock:
            self._questions.add(question)
            if not self._is_up:
                question.settle()
        try:
            with contextlib.suppress(socketio.exceptions.SocketIOError):
                if not question.done.is_set():
                    self._sio.emit(event, data, callback=question.settle)
                if not question.done.wait(seconds):
                    raise PresenceError("timeout", f"The server did not answer {event} in time.")
        finally:
            with self._lock:
                self._questions.discard(question)
        answer = question.answer
        if answer is None:
            raise PresenceError(
                "connection_lost",
                f"The connection was lost before {event} was answered; it may have arrived or not.",
            )
        if not answer["ok"]:
            raise PresenceError(answer["code"], answer["detail"], answer)
        return answer

    def close(self) -> None:
        """Disconnect, or stop trying to connect again."""
        self._sio.shutdown()

    def _found(self) -> None:
        with self._lock:
            self._is_up = True
        self._handlers["connect"]()

    def _auth(self) -> dict[str, str]:
        """Return what is shown to the server: a token that is good now, if one can be had."""
        try:
            token = token_of(self._token)
        except Exception:
            # It is asked again before the next attempt; this one the server refuses.
            log.exception("no token could be had")
            token = None
        return {} if token is None else {"token": token}

    def _refused(self, problem: Any = None) -> None:
        """Note what the server says; of a network that fails there is only a text."""
        body = problem.get("data") if isinstance(problem, dict) else None
        if isinstance(body, dict) and "code" in body:
            self.refusal = PresenceError(body["code"], body["detail"], body)
            self._handlers["refused"](self.refusal)

    def _lost(self, reason: str = "") -> None:
        self._handlers["disconnect"](reason)
        with self._lock:
            self._is_up = False
            for question in self._questions:
                question.settle()


class Http:
    """The server's HTTP routes; every method raises `PresenceError` for what is no success."""

    def __init__(self, url: str, timeout: float, token: Token | None = None) -> None:
        self._token = token
        self._url = url
        self._timeout = timeout

    def get(self, path: str, query: dict[str, str]) -> Body:
        """Return the JSON at a path."""
        address, headers = self._url + path, self._headers()
        return self._checked(
            lambda: requests.get(address, query, headers=headers, timeout=self._timeout)
        )

    def upload(
        self,
        path: str,
        form: dict[str, str],
        file: tuple[str, IO[bytes]],
        on_progress: Progress | None,
        abort: threading.Event | None,
    ) -> Body:
        """Send a multipart form with one file, (name, open file); return what the server says."""
        request = requests.Request(
            "POST", self._url + path, headers=self._headers(), data=form, files={"file": file}
        )
        prepared = request.prepare()
        assert isinstance(prepared.body, bytes)
        prepared.body = _Counted(prepared.body, on_progress, abort)  # type: ignore[assignment]
        with requests.Session() as session:
            return self._checked(lambda: session.send(prepared, timeout=self._timeout))

    def unreachable(self) -> PresenceError:
        """Return the error for a server that does not answer."""
        return PresenceError(
            "unreachable",
            f"{self._url} does not answer. Check the address and the network, then try again.",
        )

    def _headers(self) -> dict[str, str]:
        token = token_of(self._token)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _checked(self, send: Callable[[], requests.Response]) -> Body:
        try:
            response = send()
        except requests.RequestException as error:
            raise self.unreachable() from error
        try:
            body: Body = response.json()
        except ValueError:
            body = {}
        if not response.ok or not body:
            detail = f"The server answered {response.status_code} without JSON."
            raise PresenceError(
                body.get("code", "unreadable_answer"), body.get("detail", detail), body
            )
        return body


def token_of(token: Token | None) -> str | None:
    """Return the token to use now; asks the function that fetches one, if it is one."""
    return token() if callable(token) else token


class _Counted:
    """A request's body that tells how much of it was read, and can stop in the middle."""

    def __init__(
        self,
        body: bytes,
        on_progress: Progress | None,
        abort: threading.Event | None,
    ) -> None:
        self._body = memoryview(body)
        self._at = 0
        self._on_progress = on_progress
        self._abort = abort

    def __len__(self) -> int:
        return len(self._body)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; raises `PresenceError` (``aborted``)."""
        if self._abort is not None and self._abort.is_set():
            raise PresenceError("aborted", "The upload was aborted; nothing was stored.")
        end = len(self._body) if size < 0 else self._at + size
        part = bytes(self._body[self._at : end])
        self._at += len(part)
        if part and self._on_progress is not None:
            self._on_progress(self._at, len(self._body))
        return part

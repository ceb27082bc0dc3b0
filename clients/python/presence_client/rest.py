"""The server's HTTP routes, with a token that is good now and errors that are told as such."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO, Any
from urllib.parse import quote

import aiohttp

from presence_client import forks
from presence_client.address import Address
from presence_client.bodies import Body
from presence_client.errors import PresenceError, closed, unreachable
from presence_client.upload import Flag, Form, Progress

ROOMS = "/api/webrtc/rooms"


def room_path(room_name: str, *rest: str) -> str:
    """Return the path of something in a room."""
    return "/".join([ROOMS, *(quote(part, safe="") for part in (room_name, *rest))])


class Rest:
    """Requests to one server; each raises `PresenceError` for what is no success."""

    def __init__(
        self, address: Address, token: Callable[[], Awaitable[str | None]], timeout: float
    ) -> None:
        self._address = address
        self._token = token
        self._timeout = timeout
        self._http: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def get(self, path: str, query: dict[str, str] | None = None) -> Body:
        """Return the JSON at a path."""
        return await self._send("GET", path, params=query, timeout=self._all_within())

    async def post(self, path: str, body: Body | None = None) -> Body:
        """Send JSON to a path, and return the answer."""
        return await self._send("POST", path, json=body or {}, timeout=self._all_within())

    async def delete(self, path: str) -> Body:
        """Delete what is at a path."""
        return await self._send("DELETE", path, timeout=self._all_within())

    async def upload(
        self,
        path: str,
        fields: dict[str, str],
        file: tuple[str, IO[bytes]],
        progress: Progress,
        abort: Flag | None,
    ) -> Body:
        """Send a form with a file, (name, open file); a slow line may take as long as it moves."""
        form = Form(fields, *file)
        loop = asyncio.get_running_loop()
        failures: list[Exception] = []

        async def parts() -> AsyncIterator[bytes]:
            try:
                async for part in form.read(moved, abort):
                    yield part
            except Exception as error:
                failures.append(error)
                raise

        async def moved(sent: int, total: int) -> None:
            patience.reschedule(None)
            await progress(sent, total)
            patience.reschedule(loop.time() + self._timeout)

        try:
            async with asyncio.timeout(self._timeout) as patience:
                return await self._send("POST", path, data=parts(), headers=form.headers)
        except TimeoutError as error:
            raise unreachable(self._address.url, "the upload does not get on") from error
        except PresenceError:
            if failures:
                # What went wrong is the file or the program's own function, and not the network.
                raise failures[0] from None
            raise

    async def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Body:
        token = await self._token()
        if self._is_closed:
            raise closed()
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if self._http is None:
            no_limit = aiohttp.ClientTimeout(total=None)
            self._http = forks.session(timeout=no_limit)
        # The path is quoted already.
        url = f"{self._address.url}{path}"
        try:
            async with self._http.request(method, url, headers=headers, **options) as response:
                return await self._checked(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(self._address.url, error) from error

    async def _checked(self, response: aiohttp.ClientResponse) -> Body:
        try:
            body = await response.json(content_type=None)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not (response.ok or "code" in body):
            raise PresenceError(
                "unreadable_answer",
                f"{self._address.url} answered {response.status}, but not as a Presence server.",
                body if isinstance(body, dict) else None,
            )
        if not response.ok:
            raise PresenceError.of(body)
        return body

    def _all_within(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self._timeout)

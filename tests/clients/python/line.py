"""A line between a client and a server that can be cut, closed and held up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any


class Line:
    """Forwards TCP connections to a server on this machine; ``url`` is where clients connect."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_closed = False
        self._flows = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        # How many connections were made since the line was laid.
        self.made = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server: asyncio.Server = self._do(self._listen())
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """End every connection without a word."""
        self._do(self._cut())

    def shut(self) -> None:
        """Cut, and refuse new connections until `open`."""
        self._is_closed = True
        self.cut()

    def open(self) -> None:
        """Take connections again, and let everything through."""
        self._is_closed = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def hold(self) -> None:
        """Let nothing through, without ending anything, until `open`."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    @property
    def connections(self) -> int:
        """How many connections go over the line now."""
        return len(self._writers) // 2

    def remove(self) -> None:
        """End the line."""
        self.shut()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        self._flows.set()
        return await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.transport.abort()
            return
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        self.made += 1
        if self._is_closed:
            writer.transport.abort()
            to_server[1].transport.abort()
            return
        for source, sink in ((reader, to_server[1]), (to_server[0], writer)):
            self._writers.add(sink)
            task = asyncio.ensure_future(self._forward(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await source.read(65536):
                await self._flows.wait()
                sink.write(part)
                await sink.drain()
        self._writers.discard(sink)
        sink.close()

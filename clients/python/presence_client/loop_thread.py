"""An event loop in a thread of its own, and a thread for callbacks: how a client can block.

Both threads begin with the first call that needs them, and end with the client.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from presence_client import errors, forks
from presence_client.async_client import AsyncClient
from presence_client.events import Callbacks

Value = TypeVar("Value")

hand_over = asyncio.run_coroutine_threadsafe

# How long `close` waits for callbacks that are still running.
_CALLBACK_SECONDS = 5.0


class LoopThread:
    """Runs an asyncio client, ``client``, for a program that knows nothing of it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.callbacks = Callbacks(takes_coroutines=False)
        self.client = _Inner(self, url, **options)
        self.happened: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        # Guards all of the below, and is notified of every change.
        self._guard = threading.Condition()
        self._changes = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        # The calls that wait for the loop; None when it has ended.
        self._calls: set[concurrent.futures.Future[Any]] | None = set()
        self._is_closing = False
        forks.remember(self)

    def run(self, work: Coroutine[Any, Any, Value], caller: Caller | None = None) -> Value:
        """Do something in the loop's thread, and return or raise what comes of it."""
        with self._guard:
            if self.client.state == "closed" or self._calls is None:
                work.close()
                raise errors.closed()
            future = hand_over(work, self._started())
            self._calls.add(future)
        try:
            if caller is not None:
                caller.serve(future)
            return future.result()
        except concurrent.futures.CancelledError:
            raise errors.closed() from None
        except BaseException:
            future.cancel()
            raise
        finally:
            with self._guard:
                if self._calls is not None:
                    self._calls.discard(future)

    def wait_for(self, condition: Callable[[], Value], seconds: float) -> Value:
        """Return the condition's value once it is true; raises `TimeoutError`, or ``closed``."""
        until = time.monotonic() + seconds
        while True:
            # Looked at without the guard, for it may call the client.
            seen = self._changes
            if value := condition():
                return value
            if self.client.state == "closed":
                raise errors.closed()
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the condition did not come true in time")
            with self._guard:
                self._guard.wait_for(lambda seen=seen: self._changes != seen, left)  # type: ignore[misc]

    def close(self) -> None:
        """Close the client, and wait until both threads have ended."""
        if self.client.is_forked:
            return
        with self._guard:
            if self._loop is None:
                self.client.close_unused()
            elif not self._is_closing:
                hand_over(self.client.close_and_stop(), self._loop)
            self._is_closing = True
        for thread in self._threads:
            if thread is not threading.current_thread():
                # The first runs the loop, which ends by itself; callbacks may take their time.
                thread.join(None if thread is self._threads[0] else _CALLBACK_SECONDS)

    def changed(self) -> None:
        """Let those look again who wait for a condition."""
        with self._guard:
            self._changes += 1
            self._guard.notify_all()

    def forked(self) -> None:
        """Be usable in a child process, whatever other threads held at the fork."""
        self._guard = threading.Condition()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            for run, name in ((self._run_loop, "loop"), (self._run_callbacks, "callbacks")):
                thread = threading.Thread(
                    target=run, args=[self._loop], name=f"presence-client-{name}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        return self._loop

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        # Names of hosts are looked up in threads, which end with the loop.
        lookups = concurrent.futures.ThreadPoolExecutor(2, "presence-client-lookup")
        loop.set_default_executor(lookups)
        try:
            loop.run_forever()
            loop.run_until_complete(_end_everything())
        finally:
            lookups.shutdown(wait=False, cancel_futures=True)
            loop.close()
            self.happened.put(None)
            with self._guard:
                left_over, self._calls = self._calls, None
            for call in left_over or ():
                call.cancel()

    def _run_callbacks(self, _loop: asyncio.AbstractEventLoop) -> None:
        while (happened := self.happened.get()) is not None:
            self.callbacks.call(*happened)


class _Inner(AsyncClient):
    """The client that does the work, in a thread where nobody's callbacks run."""

    def __init__(self, thread: LoopThread, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._thread = thread

    @property
    def is_forked(self) -> bool:
        """Whether it is a child process's copy."""
        return self._life.is_abandoned

    def close_unused(self) -> None:
        """Be closed without ever having begun."""
        self._life.is_closed = True
        self._life.state = "closed"

    async def close_and_stop(self) -> None:
        """Close, and let the loop end."""
        try:
            await self.close()
        finally:
            asyncio.get_running_loop().stop()

    def _tell(self, event: str, value: Any) -> None:
        self._thread.happened.put((event, value))

    def _changed(self) -> None:
        self._thread.changed()


class Caller:
    """A thread that waits for a call to end, and lends itself to the functions given with it."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function for the loop that has this one run in the caller's thread."""

        async def run(*args: Any) -> Any:
            given: concurrent.futures.Future[Any] = concurrent.futures.Future()

            def work() -> None:
                if not given.set_running_or_notify_cancel():
                    return
                try:
                    given.set_result(function(*args))
                except Exception as error:
                    given.set_exception(error)

            self._asked.put(work)
            return await asyncio.wrap_future(given)

        return run

    def serve(self, future: concurrent.futures.Future[Any]) -> None:
        """Run what is asked for until the call has ended."""
        future.add_done_callback(lambda _: self._asked.put(None))
        while (work := self._asked.get()) is not None:
            work()


async def in_thread(function: Callable[[], Any]) -> Any:
    """Return what a function returns, without the loop having to wait for it.

    The thread is a daemon's: nobody waits for a function that does not return.
    """
    loop = asyncio.get_running_loop()
    given: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if given.done():
            return
        if error is None:
            given.set_result(value)
        else:
            given.set_exception(error)

    def work() -> None:
        value, failed = None, None
        try:
            value = function()
            if inspect.iscoroutine(value):
                value.close()
        except Exception as error:
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, failed)

    threading.Thread(target=work, name="presence-client-token", daemon=True).start()
    return await given


async def _end_everything() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    await asyncio.get_running_loop().shutdown_asyncgens()

"""What a route or an event declares about itself, in the line above its function.

The declarations are what the OpenAPI and AsyncAPI documents and the page of the API are made of
(see `openapi` and `asyncapi`). The first sentence of the function's docstring is its summary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel

from presence.errors import PresenceError

Function = TypeVar("Function", bound=Callable[..., Any])
Errors = tuple[type[PresenceError], ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """What a route takes and answers.

    ``answer`` is the body of a success, or the media types of one that is not JSON, none for one
    without; ``status`` is that of a success, ``also`` another one
    with the same body. ``body``, ``form``, ``query`` and ``headers`` are what
    it reads, ``media_type`` what it reads otherwise. ``errors`` are the conditions of its own:
    those that any route, or any that ``uses_storage``, can meet are added by `openapi`.
    """

    group: str
    answer: type[BaseModel] | tuple[str, ...]
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    media_type: str | None = None
    status: int = 200
    also: int | None = None
    errors: Errors = ()
    uses_storage: bool = True

    @property
    def is_of_names(self) -> bool:
        """Whether a success is an object whose keys are names that anybody may have chosen."""
        return isinstance(self.answer, type) and issubclass(self.answer, RootModel)

    @property
    def takes_key(self) -> bool:
        """Whether one that changes something takes an ``Idempotency-Key``: all but uploads do."""
        return self.uses_storage and not (self.form or self.media_type or self.headers)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What an event from a client takes and is answered with.

    ``answer`` is the body of its acknowledgement, but for ``ok``; ``success`` names the event that
    carries the same body, where there is one. ``message`` is None if it takes none. What
    ``error_keys`` has is added to each of its errors. ``heard`` names what others get of it.
    """

    message: type[BaseModel] | None
    answer: type[BaseModel]
    success: str | None = None
    errors: Errors = ()
    error_keys: type[BaseModel] | None = None
    heard: tuple[str, ...] = ()


def route(**declared: Any) -> Callable[[Function], Function]:
    """Declare what a view function takes and answers; the arguments are those of `Route`."""
    return _attach(Route(**declared))


def event(**declared: Any) -> Callable[[Function], Function]:
    """Declare what an event's handler takes and answers; the arguments are those of `Event`."""
    return _attach(Event(**declared))


def declaration_of(function: Callable[..., Any]) -> Any:
    """Return what a function declares about itself; raises `LookupError` if it does not."""
    try:
        return function.__dict__["declared"]
    except KeyError:
        raise LookupError(
            f"{function.__module__}.{function.__qualname__} is described nowhere: put "
            "@described.route(…) or @described.event(…) above it"
        ) from None


def sentences_of(function: Callable[..., Any]) -> tuple[str, str]:
    """Return a function's summary, without the full stop, and the rest of its docstring."""
    documented = (function.__doc__ or "").strip().replace("``", "`")
    summary, _, rest = documented.partition("\n")
    return summary.rstrip("."), "\n".join(line.strip() for line in rest.strip().splitlines())


def _attach(declared: Route | Event) -> Callable[[Function], Function]:
    def attach(function: Function) -> Function:
        function.__dict__["declared"] = declared
        return function

    return attach

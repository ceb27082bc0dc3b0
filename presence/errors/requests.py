"""Requests and messages that cannot be read, or are for nothing that is here."""

from __future__ import annotations

from presence.errors.base import PresenceError


class InvalidJson(PresenceError):
    """The message is not JSON, or not a JSON object."""

    code = "invalid_json"


class InvalidField(PresenceError):
    """A field is missing or its value is not acceptable; ``field`` names it."""

    code = "invalid_field"
    field: str

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}", field=field)
        self.reason = reason


class AddressUnknown(PresenceError):
    """No route has this address; a name with a slash in it makes one that none has."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is nothing at this address. The page /docs/api lists every route.")


class AddressUnreadable(PresenceError):
    """The path or the query of a request is not in UTF-8."""

    code = "address_unreadable"

    def __init__(self) -> None:
        super().__init__(
            "The address of this request is not in UTF-8. Escape names as encodeURIComponent does: "
            "é is %C3%A9, not %E9."
        )


class RequestMalformed(PresenceError):
    """What came is no request of HTTP/1.1, or its head breaks the rules of one."""

    code = "bad_request"

    def __init__(self, fault: str) -> None:
        super().__init__(
            f"This request is malformed: {fault}. Check what sends it, and what stands on its way."
        )


class RequestTimeout(PresenceError):
    """The rest of a request's head did not come."""

    code = "request_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This request did not come to the end of its head within {seconds:g} s. The head ends "
            "with an empty line, and each of its lines with CR and LF."
        )


class CodingRefused(PresenceError):
    """The body of a request is compressed, which the server does not undo."""

    code = "coding_refused"

    def __init__(self, coding: str) -> None:
        super().__init__(
            f"The body is sent as “{coding[:40]}” (Content-Encoding), which is not undone here. "
            "Send it as it is."
        )


class MethodRefused(PresenceError):
    """The address takes other methods than this one; the ``Allow`` header has them."""

    code = "method_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "This address does not take this method. The Allow header says what it takes."
        )


class UnknownEvent(PresenceError):
    """The server knows no Socket.IO event of this name."""

    code = "unknown_event"


class MessageTooLarge(PresenceError):
    """A request's body exceeds the size limit, or an event what any event may hold."""

    code = "message_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The message is larger than the {limit} bytes that are allowed. Send less at once.",
            limit=limit,
        )


class HeadersTooLarge(PresenceError):
    """A header of a request exceeds what one may have; most of the time it is ``Cookie``."""

    code = "headers_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A header of the request is larger than {limit} bytes, most likely that of cookies. "
            "This server sets none: other programs did, under the same name (on localhost all "
            "ports share them). Delete the cookies of this address, or open it in a private "
            "window or by another name.",
            limit=limit,
        )


class HostRefused(PresenceError):
    """The server was called by a name that is not its own."""

    code = "host_refused"

    def __init__(self) -> None:
        super().__init__(
            "This server does not answer to that name. Whoever runs it lists its names in "
            "PRESENCE_ALLOWED_HOSTS."
        )


class OriginRefused(PresenceError):
    """A web page of an origin that is not allowed has called the server."""

    code = "origin_refused"

    def __init__(self) -> None:
        super().__init__(
            "Pages of that origin may not use this server. Whoever runs it lists those that may "
            "in PRESENCE_ALLOWED_ORIGINS."
        )


class PrefixRefused(PresenceError):
    """A proxy says that the server stands below something that is no path."""

    code = "prefix_refused"

    def __init__(self) -> None:
        super().__init__(
            "X-Forwarded-Prefix is not a path such as /presence. The proxy must set it to the path "
            "below which the server stands, or take it away."
        )


class PrefixUnknown(PresenceError):
    """A request is for one of the server's own paths, below another that it does not know of."""

    code = "prefix_unknown"

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"There is nothing below “{prefix}” here, but without it there may be. If a proxy has "
            f"the server stand there, set PRESENCE_PREFIX={prefix}, or let the proxy take it off "
            "or send it as X-Forwarded-Prefix."
        )

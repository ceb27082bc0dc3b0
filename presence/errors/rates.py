"""How often, and how much at once, somebody does something."""

from __future__ import annotations

import math

from presence.errors.base import PresenceError


class RateExceeded(PresenceError):
    """Base of the limits on how often something is done; ``retry_after`` is in seconds."""

    limit: int
    retry_after: int
    sentence = "That was more than {limit} within a minute."

    def __init__(self, limit: int, retry_after: float) -> None:
        # Upwards, and never to the very moment, which rounding elsewhere may miss.
        seconds = max(1, math.ceil(retry_after + 0.01))
        super().__init__(
            f"{self.sentence.format(limit=limit)} Wait {seconds} s, then go on more slowly.",
            limit=limit,
            retry_after=seconds,
        )


class TooManyRequests(RateExceeded):
    """An address sends REST requests faster than it may."""

    code = "too_many_requests"
    sentence = "Your address sent more than {limit} requests within a minute."


class TooManyConnects(RateExceeded):
    """An address opens Socket.IO connections faster than it may."""

    code = "too_many_connects"
    sentence = "Your address opened more than {limit} connections within a minute."


class TooManyFailedTokens(RateExceeded):
    """An address goes on showing tokens that are refused."""

    code = "too_many_failed_tokens"
    sentence = "More than {limit} tokens from your address were refused within a minute."


class TooManyWrongPasswords(RateExceeded):
    """An address goes on trying passwords of rooms."""

    code = "too_many_wrong_passwords"
    sentence = "More than {limit} wrong passwords came from your address within a minute."


class TooManyGuesses(RateExceeded):
    """Many try passwords of one room, from wherever they come."""

    code = "too_many_guesses"
    sentence = "More than {limit} wrong passwords were tried at this room within a minute."


class TooManyUploads(RateExceeded):
    """Files are uploaded for a peer faster than they may be."""

    code = "too_many_uploads"
    sentence = "More than {limit} files were uploaded for this peer within a minute."


class TooManyEvents(PresenceError):
    """A connection sends messages faster than it may; it is slowed down, and loses nothing."""

    code = "too_many_events"
    limit: float
    retry_after: int

    def __init__(self, limit: float, retry_after: float) -> None:
        seconds = max(1, math.ceil(retry_after))
        super().__init__(
            f"This connection sends more than {limit:g} messages a second, so they are handled "
            f"late. Pause for {seconds} s and go on more slowly; else it will be closed.",
            limit=limit,
            retry_after=seconds,
        )


class Flooding(PresenceError):
    """A connection went on sending too fast after it was warned, and is closed."""

    code = "flooding"
    limit: float

    def __init__(self, limit: float) -> None:
        super().__init__(
            f"This connection went on sending more than {limit:g} messages a second, so it is "
            "closed, and what it sent last was not handled. Connect again, and send more slowly.",
            limit=limit,
        )


class TooManyAtOnce(PresenceError):
    """An address has as many requests under way as it may."""

    code = "too_many_at_once"
    limit: int
    retry_after: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your address has {limit} requests under way, and may have no more at once. Wait "
            "until some are answered.",
            limit=limit,
            retry_after=1,
        )


class AnswersTooLarge(PresenceError):
    """The answers that are being sent to slow readers take as much memory as they may."""

    code = "answers_too_large"
    retry_after: int

    def __init__(self) -> None:
        super().__init__(
            "The server is sending as much at once as it can hold. Try again in a few seconds, or "
            "ask for less: one room, or one peer.",
            retry_after=5,
        )


class TooManySockets(PresenceError):
    """An address holds as many connections as it may."""

    code = "too_many_sockets"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your address has {limit} connections open already, and may have no more. Close one "
            "first.",
            limit=limit,
        )


class ServerFull(PresenceError):
    """This process holds as many connections as it may."""

    code = "server_full"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"All {limit} connections of the server are taken. Try again in a minute.", limit=limit
        )

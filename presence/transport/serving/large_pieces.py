"""The body of a request in pieces as large as its reader asks for.

gunicorn reads a body a kilobyte at a time, out of eight that it takes from the socket, and copies
what is left of them each time: of an upload's time half went there.
"""

from __future__ import annotations

from typing import Any

from gunicorn.http.body import Body, LengthReader

# How much is taken from a socket at once: of a head, in which more may follow, and of a body.
HEAD_BYTES = 8 * 1024
BODY_BYTES = 64 * 1024


class LargePieces(Body):  # type: ignore[misc]
    """A body of a known length."""

    def read(self, size: int | None = None) -> bytes:
        """Return so many bytes, or all of them; fewer only where the body ends."""
        left: int = self.getsize(size)
        pieces: list[bytes] = []
        if self.buf.tell():
            # Left over from a line that was read.
            pieces.append(super().read(min(left, self.buf.tell())))
            left -= len(pieces[0])
        while left > 0:
            piece: bytes = self.reader.read(min(left, BODY_BYTES))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def in_large_pieces(body: Any, unreader: Any) -> Any:
    """Return a body that is read so, where gunicorn's own knows its length."""
    if type(body) is not Body or type(body.reader) is not LengthReader:
        return body
    if body.reader.length > HEAD_BYTES:
        unreader.mxchunk = BODY_BYTES
    return LargePieces(body.reader)

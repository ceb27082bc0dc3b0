"""Reading the form of an upload as it comes: its fields, and its file straight to where it is kept.

Flask would hand the form over only when all of it has arrived. Here the fields that stand before
the file are known when its first byte comes, which is when an upload that cannot be kept should
be refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from presence.errors import InvalidField, InvalidJson
from presence.storage.blobs import PendingBlob
from presence.transport.engine.draining import yield_to_others

# What the form may have besides the file's bytes: boundaries, headers, the fields.
FORM_BYTES = 64 * 1024
_CHUNK = 64 * 1024
_MAX_PARTS = 100
_FILE = "file"
_NEEDED = {"room_name", "peer_id"}
# A boundary has up to 70 characters, no space at its end, and a line of its own.
_FIRST_LINE = re.compile(rb"(?:\r?\n)?--([\w'()+,./:=? -]{0,69}[\w'()+,./:=?-])\s*\n")
_NAME_UNREADABLE = (
    "has a name, or the form a header, that is not in UTF-8. Send the form in UTF-8, or rename the "
    "file to letters without accents."
)

OpenFile = Callable[[], PendingBlob]
Check = Callable[[dict[str, str]], None]


class IncomingForm:
    """A form of ``multipart/form-data`` (RFC 7578) with one file in it, as far as it has come.

    Of a field that is given twice the first counts. `discard` must be called in the end.
    """

    def __init__(self, open_file: OpenFile) -> None:
        self.fields: dict[str, str] = {}
        # The names of all parts, those of files too.
        self.names: dict[str, None] = {}
        self.filename = ""
        self.blob: PendingBlob | None = None
        self._open_file = open_file
        # Where the bytes of the part that is being read go: into a field, a file, or nowhere.
        self._field: tuple[str, bytearray] | None = None
        self._file: PendingBlob | None = None
        self._field_bytes = 0
        self._is_checked = False

    def read(self, stream: IO[bytes], boundary: str, check: Check) -> None:
        """Read the body to its end.

        `check` is called once with the fields: before the file is opened where they have come by
        then, else at the end. Raises what it raises, `InvalidField` where there is not one file
        with a name or a text is not in UTF-8, `InvalidJson` where no boundary is given and the
        body begins with none, `ValueError` for what is no form, `RequestEntityTooLarge` for fields
        that are too long, and what writing to the file raises.
        """
        chunk = stream.read(_CHUNK)
        decoder = MultipartDecoder(
            boundary.encode("ascii") or _boundary_of(chunk),
            max_form_memory_size=2 * FORM_BYTES,
            max_parts=_MAX_PARTS,
        )
        decoder.receive_data(chunk or None)
        while not self._take_events(decoder, check):
            yield_to_others()
            chunk = stream.read(_CHUNK)
            decoder.receive_data(chunk or None)
        if self.blob is None:
            raise InvalidField(_FILE, "is required, with a name.")
        if not self._is_checked:
            check(self.fields)

    def discard(self) -> None:
        """Remove what was received, unless it was moved into place."""
        if self.blob is not None:
            self.blob.discard()

    def _take_events(self, decoder: MultipartDecoder, check: Check) -> bool:
        """Handle what has been read so far; return whether that is the whole form."""
        while True:
            try:
                event = decoder.next_event()
            except UnicodeDecodeError:
                raise InvalidField(_FILE, _NAME_UNREADABLE) from None
            if isinstance(event, (NeedData, Epilogue)):
                return isinstance(event, Epilogue)
            if isinstance(event, Field):
                self._field, self._file = (event.name, bytearray()), None
                self.names[event.name] = None
            elif isinstance(event, File):
                self.names[event.name] = None
                self._field, self._file = None, self._begin_file(event, check)
            elif isinstance(event, Data):
                self._take(event)

    def _begin_file(self, event: File, check: Check) -> PendingBlob | None:
        """Open the file that begins; the bytes of one under another name go nowhere."""
        if event.name != _FILE:
            return None
        if self.blob is not None:
            raise InvalidField(_FILE, "may be given only once.")
        if not event.filename:
            raise InvalidField(_FILE, "is required, with a name.")
        if self.fields.keys() >= _NEEDED:
            check(self.fields)
            self._is_checked = True
        self.filename = event.filename
        self.blob = self._open_file()
        return self.blob

    def _take(self, event: Data) -> None:
        if self._file is not None:
            self._file.write(event.data)
        elif self._field is not None:
            name, value = self._field
            self._field_bytes += len(event.data)
            if self._field_bytes > FORM_BYTES:
                raise RequestEntityTooLarge
            value += event.data
            if not event.more_data:
                try:
                    self.fields.setdefault(name, value.decode())
                except UnicodeDecodeError:
                    raise InvalidField(name, "must be text in UTF-8.") from None


def _boundary_of(body: bytes) -> bytes:
    """Return the boundary with which a form begins (RFC 2046, section 5.1.1).

    Some programs set the header themselves, and do not know what their library chose. Raises
    `InvalidJson`.
    """
    found = _FIRST_LINE.match(body)
    if found is None:
        raise InvalidJson(
            "The form names no boundary, neither in its Content-Type nor in its first line. Let "
            "the library that makes the form set its Content-Type."
        )
    return found[1]

"""QR codes of addresses, as pictures that pages show as they are."""

from __future__ import annotations

import io

import segno

# Level M reads through 15 % of damage, which is what a screen and a hand-held camera need
# (ISO/IEC 18004).
_LEVEL = "m"
# What an address of a room has at most, and more than cameras read well.
_LONGEST = 600


def svg(text: str) -> str | None:
    """Return a QR code of a text as an SVG document; None where the text is too long for one."""
    if len(text) > _LONGEST:
        return None
    drawn = io.BytesIO()
    code = segno.make_qr(text, error=_LEVEL, boost_error=False)
    code.save(drawn, kind="svg", light="#fff", xmldecl=False, nl=False, omitsize=True)
    return drawn.getvalue().decode()

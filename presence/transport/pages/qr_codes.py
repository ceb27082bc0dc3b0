"""QR codes of addresses, as pictures: ISO/IEC 18004, bytes, error correction level M.

Level M reads through 15 % of damage, which is what a screen and a hand-held camera need.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

Matrix = list[list[bool]]

# For each version from 1: codewords of error correction in a block, blocks, and the places of the
# alignment patterns (tables 9 and E.1 of the standard).
_VERSIONS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (10, 1, ()),
    (16, 1, (6, 18)),
    (26, 1, (6, 22)),
    (18, 2, (6, 26)),
    (24, 2, (6, 30)),
    (16, 4, (6, 34)),
    (18, 4, (6, 22, 38)),
    (22, 4, (6, 24, 42)),
    (22, 5, (6, 26, 46)),
    (26, 5, (6, 28, 50)),
    (30, 5, (6, 30, 54)),
    (22, 8, (6, 32, 58)),
    (22, 9, (6, 34, 62)),
    (24, 9, (6, 26, 46, 66)),
    (24, 10, (6, 26, 48, 70)),
)
_QUIET = 4
_BYTES = 0b0100
_PADDING = (0xEC, 0x11)
_FINDER_LIKE = (
    [True, False, True, True, True, False, True, *[False] * 4],
    [*[False] * 4, True, False, True, True, True, False, True],
)


def svg(text: str) -> str | None:
    """Return a QR code of a text as an SVG document; None where the text is too long for one."""
    matrix = encode(text.encode())
    if matrix is None:
        return None
    size = len(matrix) + 2 * _QUIET
    path = "".join(
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, row in enumerate(matrix)
        for x, dark in enumerate(row)
        if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path d="{path}"/></svg>'
    )


def encode(data: bytes) -> Matrix | None:
    """Return the modules of a QR code, row by row; True is dark. None for what is too long."""
    for version in range(1, len(_VERSIONS) + 1):
        codewords = _codewords(data, version)
        if codewords is not None:
            return _best(version, codewords)
    return None


def _codewords(data: bytes, version: int) -> list[int] | None:
    """Return the codewords as they are placed, with their error correction; None if too many."""
    correction, blocks, _ = _VERSIONS[version - 1]
    total = sum(1 for _ in _free(version)) // 8
    capacity = total - correction * blocks
    length_bits = 8 if version < 10 else 16
    if 4 + length_bits + 8 * len(data) > 8 * capacity:
        return None
    bits = f"{_BYTES:04b}{len(data):0{length_bits}b}" + "".join(f"{byte:08b}" for byte in data)
    bits += "0" * min(4, 8 * capacity - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    words += [_PADDING[at % 2] for at in range(capacity - len(words))]
    parts, start = [], 0
    for block in range(blocks):
        # The last blocks have a codeword more where they cannot all be as long.
        size = capacity // blocks + (block >= blocks - capacity % blocks)
        parts.append(words[start : start + size])
        start += size
    remainders = [_remainder(part, correction) for part in parts]
    return [*_interleaved(parts), *_interleaved(remainders)]


def _interleaved(parts: list[list[int]]) -> Iterator[int]:
    for at in range(max(map(len, parts))):
        for part in parts:
            if at < len(part):
                yield part[at]


def _times(a: int, b: int) -> int:
    """Multiply in the field of 256 elements, modulo x⁸ + x⁴ + x³ + x² + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def _remainder(words: list[int], degree: int) -> list[int]:
    """Return the Reed-Solomon codewords of a block."""
    divisor, root = [1], 1
    for _ in range(degree):
        divisor = [
            high ^ _times(low, root) for high, low in zip([*divisor, 0], [0, *divisor], strict=True)
        ]
        root = _times(root, 2)
    rest = [*words, *[0] * degree]
    for at in range(len(words)):
        factor = rest[at]
        for offset, part in enumerate(divisor):
            rest[at + offset] ^= _times(part, factor)
    return rest[len(words) :]


def _best(version: int, codewords: list[int]) -> Matrix:
    """Return the code with that of the eight masks which cameras read best."""
    return min((_drawn(version, codewords, mask) for mask in range(8)), key=_penalty)


def _drawn(version: int, codewords: list[int], mask: int) -> Matrix:
    matrix = [[bool(module) for module in row] for row in _patterns(version)]
    bits = [word >> bit & 1 for word in codewords for bit in range(7, -1, -1)]
    for index, (y, x) in enumerate(_free(version)):
        dark = index < len(bits) and bits[index] == 1
        matrix[y][x] = dark ^ _is_masked(mask, y, x)
    _write_format(matrix, mask)
    return matrix


def _is_masked(mask: int, y: int, x: int) -> bool:
    return (
        (y + x) % 2,
        y % 2,
        x % 3,
        (y + x) % 3,
        (y // 2 + x // 3) % 2,
        y * x % 2 + y * x % 3,
        (y * x % 2 + y * x % 3) % 2,
        ((y + x) % 2 + y * x % 3) % 2,
    )[mask] == 0


def _patterns(version: int) -> list[list[bool | None]]:
    """Return the modules that are the same for every text; None where the text's own go."""
    size = 17 + 4 * version
    matrix: list[list[bool | None]] = [[None] * size for _ in range(size)]
    for at in range(size):
        matrix[6][at] = matrix[at][6] = at % 2 == 0
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        for y in range(max(top - 1, 0), min(top + 8, size)):
            for x in range(max(left - 1, 0), min(left + 8, size)):
                ring = max(abs(y - top - 3), abs(x - left - 3))
                matrix[y][x] = ring not in (2, 4)
    _align(matrix, _VERSIONS[version - 1][2])
    # Kept free for the format, which `_write_format` fills in; one module is always dark.
    for at in range(9):
        matrix[8][at] = matrix[8][at] or False
        matrix[at][8] = matrix[at][8] or False
    for at in range(8):
        matrix[8][size - 1 - at] = matrix[size - 1 - at][8] = False
    matrix[size - 8][8] = True
    if version >= 7:
        bits = version << 12 | _checked(version, 12, 0x1F25)
        for at in range(18):
            dark = bits >> at & 1 == 1
            matrix[at // 3][size - 11 + at % 3] = matrix[size - 11 + at % 3][at // 3] = dark
    return matrix


def _align(matrix: list[list[bool | None]], places: tuple[int, ...]) -> None:
    """Draw the alignment patterns, but where a corner's own pattern is."""
    last = len(places) - 1
    for row, middle in enumerate(places):
        for column, centre in enumerate(places):
            if (row, column) in ((0, 0), (0, last), (last, 0)):
                continue
            for y in range(middle - 2, middle + 3):
                for x in range(centre - 2, centre + 3):
                    matrix[y][x] = max(abs(y - middle), abs(x - centre)) != 1


def _checked(value: int, bits: int, divisor: int) -> int:
    """Return the remainder that makes a value safe against misreading (BCH)."""
    rest = value << bits
    for at in range(value.bit_length() - 1, -1, -1):
        if rest >> (at + bits) & 1:
            rest ^= divisor << at
    return rest


def _write_format(matrix: Matrix, mask: int) -> None:
    """Write twice which level, M, and which mask it is."""
    size = len(matrix)
    bits = (mask << 10 | _checked(mask, 10, 0x537)) ^ 0x5412
    around = [(y, 8) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(8, x) for x in (7, 5, 4, 3, 2, 1, 0)]
    beside = [(8, size - 1 - at) for at in range(8)] + [(size - 7 + at, 8) for at in range(7)]
    for places in (around, beside):
        for at, (y, x) in enumerate(places):
            matrix[y][x] = bits >> at & 1 == 1


def _free(version: int) -> Iterator[tuple[int, int]]:
    """Yield the places of the text's modules, in the order in which they are filled."""
    matrix = _patterns(version)
    size = len(matrix)
    upwards = True
    for right in (*range(size - 1, 6, -2), *range(5, 0, -2)):
        for y in range(size - 1, -1, -1) if upwards else range(size):
            for x in (right, right - 1):
                if matrix[y][x] is None:
                    yield y, x
        upwards = not upwards


def _penalty(matrix: Matrix) -> int:
    """Return how badly a code can be read, by the four rules of the standard."""
    size = len(matrix)
    columns = [list(column) for column in zip(*matrix, strict=True)]
    found = 0
    for line in (*matrix, *columns):
        run = 0
        for at, dark in enumerate(line):
            run = run + 1 if at and dark == line[at - 1] else 1
            if run >= 5:
                found += 3 if run == 5 else 1
        found += 40 * sum(line[at : at + 11] in _FINDER_LIKE for at in range(size - 10))
    for above, below in itertools.pairwise(matrix):
        for x in range(size - 1):
            found += 3 * (above[x] == above[x + 1] == below[x] == below[x + 1])
    dark = sum(map(sum, matrix))
    return found + 10 * (abs(20 * dark - 10 * size * size) // (size * size))

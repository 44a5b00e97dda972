"""What a file claims to be, read from its first bytes and its parts, before a decoder sees it.

A decoder makes room for what the header claims, and goes through as many parts as there are: both are bounded here,
for PNG (ISO 15948), JPEG (ITU T.81) and WebP (RFC 9649).
"""

from __future__ import annotations

import struct

# Parts are cheap to write and dear to read: chunks of a PNG, segments of a JPEG, passes over all of a JPEG.
MOST_CHUNKS = 10_000
MOST_SEGMENTS = 1_000
MOST_SCANS = 100
PNG, WEBP, JPEG = b"\x89PNG\r\n\x1a\n", b"WEBP", b"\xff\xd8"
# Segments that tell the size: every start of a frame, which these three of the same range are not.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
START_OF_SCAN = 0xDA
BARE = frozenset({0x01, *range(0xD0, 0xD9)})


class NoPicture(Exception):
    """Not one of the three, or broken, or made of far too many parts."""


def claimed_size(content: bytes) -> tuple[str, int, int]:
    """(PNG, JPEG or WEBP; width; height in pixels) as the file says. Raises NoPicture."""
    try:
        if content.startswith(PNG):
            return ("PNG", *_size_of_png(content))
        if content.startswith(JPEG):
            return ("JPEG", *_size_of_jpeg(content))
        if content[:4] == b"RIFF" and content[8:12] == WEBP:
            return ("WEBP", *_size_of_webp(content))
    except (struct.error, IndexError) as error:
        raise NoPicture from error
    raise NoPicture


def _size_of_png(content: bytes) -> tuple[int, int]:
    if content[12:16] != b"IHDR":
        raise NoPicture
    place, chunks, end = len(PNG), 0, len(content)
    while place + 8 <= end and content[place + 4 : place + 8] != b"IEND":
        place += 12 + int.from_bytes(content[place : place + 4], "big")
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise NoPicture
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _size_of_jpeg(content: bytes) -> tuple[int, int]:
    # Inside of what is coded this pair never stands: it is the start of a pass, or a small picture inside.
    if content.count(bytes((0xFF, START_OF_SCAN))) > MOST_SCANS:
        raise NoPicture
    place = len(JPEG)
    for _ in range(MOST_SEGMENTS):
        while content[place] == 0xFF:
            place += 1
        kind, place = content[place], place + 1
        if kind in FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 3)
            return width, height
        if kind == START_OF_SCAN:
            break
        if kind not in BARE:
            place += struct.unpack_from(">H", content, place)[0]
    raise NoPicture


def _size_of_webp(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise NoPicture

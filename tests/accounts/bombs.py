"""Files that claim to be pictures and are meant to harm, made by hand; as a program it feeds each to the decoder and
prints its bytes, what came of it, how much memory that took (MB) and how long (s)."""

from __future__ import annotations

import io
import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable

from PIL import Image

from portal.core.errors import PortalError
from portal.core.pictures import square_webp

PNG = b"\x89PNG\r\n\x1a\n"


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of this kind."""
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def plain(kind: str = "PNG") -> bytes:
    """A harmless picture."""
    return written(Image.new("RGB", (60, 40), (200, 120, 40)), kind)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of nothing, as large as it says: a few bytes for two gigapixels."""
    rows = zlib.compressobj(1)
    line = b"\0" * (width // 8 + 2) * 100
    packed = b"".join(rows.compress(line) for _ in range(height // 100)) + rows.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return PNG + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def huge_jpeg() -> bytes:
    """A JPEG whose frame says 50,000 by 50,000."""
    made = bytearray(plain("JPEG"))
    place = made.index(b"\xff\xc0")
    made[place + 5 : place + 9] = struct.pack(">HH", 50_000, 50_000)
    return bytes(made)


def huge_webp() -> bytes:
    """A WebP whose canvas is as large as can be."""
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\xff\xff" * 2
    return b"RIFF" + struct.pack("<I", len(canvas) + 4) + b"WEBP" + canvas


def frames(kind: str) -> bytes:
    """A thousand frames."""
    first, *others = (Image.new("RGB", (64, 64), (number % 256, number // 4, 0)) for number in range(1000))
    return written(first, kind, save_all=True, append_images=others, duration=10)


def many_chunks() -> bytes:
    """A PNG of three hundred thousand empty chunks."""
    whole = plain()
    return whole[:33] + chunk(b"junk", b"") * 300_000 + whole[33:]


def many_segments() -> bytes:
    """A JPEG of a million empty segments."""
    whole = plain("JPEG")
    return whole[:2] + b"\xff\xe5\0\x02" * 1_000_000 + whole[2:]


def many_scans() -> bytes:
    """A JPEG whose every pass over all of it is there ten thousand times."""
    whole = written(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    place = whole.rindex(b"\xff\xda")
    return whole[:place] + whole[place:-2] * 10_000 + whole[-2:]


def packed_text() -> bytes:
    """A PNG with two hundred megabytes of words, packed."""
    packer = zlib.compressobj(1)
    words = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(200)) + packer.flush()
    whole = plain()
    return whole[:33] + chunk(b"zTXt", b"words\0\0" + words) + whole[33:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "a plain one": plain,
    "50,000 by 50,000 as PNG": huge_png,
    "50,000 by 50,000 as JPEG": huge_jpeg,
    "16,777,216 by 16,777,216 as WebP": huge_webp,
    "a thousand frames as PNG": lambda: frames("PNG"),
    "a thousand frames as WebP": lambda: frames("WEBP"),
    "a million segments": many_segments,
    "three hundred thousand chunks": many_chunks,
    "ten thousand passes": many_scans,
    "two hundred megabytes of words": packed_text,
}


def explode(name: str) -> None:
    """Print, in a process of its own, what comes of one of them: the memory is that process's peak."""
    content = BOMBS[name]()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        square_webp(content)
        said = "clean"
    except PortalError as error:
        said = error.code
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name}|{len(content)}|{said}|{(after - before) / 1024:.0f}|{took:.3f}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    for kind in ("PNG", "JPEG", "WEBP"):
        square_webp(plain(kind))  # the decoders themselves are no part of what a bomb takes
    for each in BOMBS:
        explode(each)

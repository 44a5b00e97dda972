"""Pictures that people send: believed in nothing, decoded at most two at once, drawn anew as a small square.

What comes out is pixels and nothing else: no metadata, no second picture, nothing appended.
"""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from portal.core.errors import Invalid, TooLarge, Unavailable
from portal.core.picture_heads import NoPicture, claimed_size
from portal.core.text import gettext

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 4 * 1024 * 1024
MOST_PIXELS = 20_000_000
MOST_SIDE = 16_383
SIDE = 256
QUALITY = 85
MOST_AT_ONCE = 2
# Each holds a thread of the server while it waits; the next is told at once.
MOST_WAITING = 6
WAIT_S = 10
ORIENTATION = 0x0112
_places = threading.BoundedSemaphore(MOST_AT_ONCE)
_waiting = threading.BoundedSemaphore(MOST_WAITING)


def square_webp(content: bytes) -> bytes:
    """The middle of a PNG, JPEG or WebP as a square WebP of SIDE pixels; of an animation, its first frame.

    Takes up to a second and some 200 MB: never call it inside a transaction. Raises TooLarge, Invalid at "picture",
    Unavailable when two others are at it for long, or many wait.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge(gettext("A picture may have at most 4 MB."))
    try:
        kind, width, height = claimed_size(content)
    except NoPicture:
        raise _no_picture() from None
    _check_size(width, height)
    _take_place()
    try:
        return _drawn(content, kind)
    finally:
        _places.release()


def _take_place() -> None:
    if _places.acquire(blocking=False):
        return
    if _waiting.acquire(blocking=False):
        try:
            if _places.acquire(timeout=WAIT_S):
                return
        finally:
            _waiting.release()
    raise Unavailable


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise _no_picture()
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        words = gettext("This picture has too many pixels: at most 20 million, and 16,383 in a row.")
        raise Invalid({"picture": words})


def _no_picture() -> Invalid:
    return Invalid({"picture": gettext("This is no picture that can be read. Send a PNG, JPEG or WebP.")})


def _drawn(content: bytes, kind: str) -> bytes:
    # Here, not above: a server that is never sent a picture starts without the decoders.
    from PIL import Image as images

    try:
        with images.open(io.BytesIO(content), formats=(kind,)) as opened:
            _check_size(*opened.size)  # what the decoder found, should it differ
            if kind == "JPEG":
                opened.draft("RGB", (SIDE * 2, SIDE * 2))
            opened.load()
            small = _square_of(_plain(opened))
            turned = _upright(small, opened)
        clean = images.new(turned.mode, turned.size)
        clean.paste(turned)  # the pixels alone: what else hangs on an image stays behind
        written = io.BytesIO()
        clean.save(written, "WEBP", quality=QUALITY)
    except Invalid:
        raise
    except Exception as error:  # whatever a decoder stumbles over is no picture
        raise _no_picture() from error
    return written.getvalue()


def _plain(image: Image) -> Image:
    """The image in colours of eight bits, with its transparency if it has one."""
    if image.mode == "I;16":  # else what is brighter than a 256th would all be white
        image = image.point(lambda value: value / 256, "L")
    clear = image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info
    return image.convert("RGBA" if clear else "RGB")


def _square_of(image: Image) -> Image:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((SIDE, SIDE), box=(left, top, left + side, top + side), reducing_gap=2.0)


def _upright(small: Image, original: Any) -> Image:
    """The image as it was meant to be seen (Exif 2.3, tag Orientation)."""
    from PIL.Image import Transpose as turn

    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    try:
        told = original.getexif().get(ORIENTATION)
    except Exception:  # metadata that cannot be read says nothing
        return small
    return small.transpose(turns[told]) if told in turns else small

"""Pictures that are sent: clean or refused, whatever they claim, and seen by whom they are for."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image
from sqlalchemy import func, select

from portal.accounts.models import Account, Picture
from portal.accounts.pictures import set_picture
from portal.core import pictures
from portal.core.database import db, in_transaction, transaction
from portal.core.errors import Invalid, PortalError, TooLarge, Unavailable
from portal.core.pictures import MOST_BYTES, square_webp
from portal.privacy.deletion import delete_user
from portal.web.frame import Doorward
from tests.accounts.bombs import BOMBS, chunk, plain, written
from tests.people import actor_named, make_account
from tests.races import race
from tests.visitor import SeenPage, Visitor

SECRET = b"taken in my garden"


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=("WEBP",))


def pixel(content: bytes, x: int, y: int) -> tuple[int, ...]:
    found = opened(content).convert("RGBA").getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (60, 40), (40, 600), (900, 700)])
def test_a_picture_becomes_a_square_webp_of_its_middle(kind: str, size: tuple[int, int]) -> None:
    made = square_webp(written(Image.new("RGB", size, (200, 120, 40)), kind))
    assert opened(made).size == (256, 256)
    assert near(pixel(made, 128, 128), (200, 120, 40, 255))


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (Image.new("L", (50, 50), 77), (77, 77, 77, 255)),
        (Image.new("1", (50, 50), 1), (255, 255, 255, 255)),
        (Image.new("I;16", (50, 50), 0x8000), (128, 128, 128, 255)),
        (Image.new("LA", (50, 50), (90, 100)), (90, 90, 90, 100)),
        (Image.new("RGBA", (50, 50), (10, 200, 30, 100)), (10, 200, 30, 100)),
        (Image.new("RGB", (50, 50), (10, 200, 30)).quantize(4), (10, 200, 30, 255)),
    ],
)
def test_every_sort_of_colour_is_understood(image: Image.Image, wanted: tuple[int, ...]) -> None:
    assert near(pixel(square_webp(written(image, "PNG")), 128, 128), wanted)


def test_the_colours_of_print_are_understood() -> None:
    made = square_webp(written(Image.new("CMYK", (50, 50), (0, 255, 0, 0)), "JPEG"))
    assert near(pixel(made, 128, 128), (255, 0, 255, 255))


def oriented(told: int) -> bytes:
    """A picture that is red at the top left, with this orientation told."""
    image = Image.new("RGB", (400, 400), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = told
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    return written(image, "JPEG", exif=exif, quality=95, comment=SECRET)


@pytest.mark.parametrize(
    ("told", "x", "y"), [(1, 0, 0), (2, 1, 0), (3, 1, 1), (4, 0, 1), (5, 0, 0), (6, 1, 0), (7, 1, 1), (8, 0, 1)]
)
def test_it_is_turned_as_its_camera_said_and_says_no_more(told: int, x: int, y: int) -> None:
    content = oriented(told)
    assert SECRET in content
    made = square_webp(content)
    assert near(pixel(made, 60 + x * 136, 60 + y * 136), (255, 0, 0, 255))
    assert near(pixel(made, 196 - x * 136, 196 - y * 136), (0, 0, 255, 255))
    assert SECRET not in made
    assert not opened(made).getexif()
    assert b"EXIF" not in made and b"XMP " not in made and b"ICCP" not in made


def test_metadata_of_every_sort_stays_behind() -> None:
    words, colour = chunk(b"tEXt", b"Comment\0" + SECRET), chunk(b"iCCP", b"p\0\0" + zlib.compress(SECRET))
    whole = plain()
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    for content in (
        whole[:33] + words + colour + whole[33:],
        whole + SECRET,
        whole + b"<script>alert(1)</script>" + SECRET,
        plain("JPEG") + b"PK\x03\x04" + SECRET,
        written(Image.new("RGB", (9, 9)), "WEBP", exif=exif, xmp=SECRET, icc_profile=SECRET),
    ):
        assert SECRET in content or exif
        assert SECRET not in square_webp(content)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
REFUSED = {
    "nothing": b"",
    "SVG": SVG,
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "a GIF": written(Image.new("P", (9, 9)), "GIF"),
    "a GIF that is a script too": b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)",
    "a BMP": written(Image.new("RGB", (9, 9)), "BMP"),
    "a TIFF": written(Image.new("RGB", (9, 9)), "TIFF"),
    "an icon": written(Image.new("RGB", (16, 16)), "ICO"),
    "a PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "HTML behind the first bytes of a PNG": b"\x89PNG\r\n\x1a\n<script>alert(1)</script>" * 3,
    "a PNG of no width": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)),
    "a JPEG without a frame": b"\xff\xd8\xff\xd9",
    "a RIFF that is a sound": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 40,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_png_jpeg_or_webp_is_refused(what: str) -> None:
    with pytest.raises(Invalid):
        square_webp(REFUSED[what])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_cut_off_anywhere_it_is_refused_or_clean_and_no_fault(kind: str) -> None:
    whole = written(Image.effect_noise((80, 80), 50).convert("RGB"), kind)
    for end in range(0, len(whole) - 1, max(1, len(whole) // 41)):
        with pytest.raises(Invalid):
            square_webp(whole[:end])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bytes_turned_anywhere_it_is_refused_or_clean_and_no_fault(kind: str) -> None:
    whole = bytearray(written(Image.effect_noise((30, 30), 50).convert("RGB"), kind))
    for place in range(0, len(whole), max(1, len(whole) // 97)):
        kept, whole[place] = whole[place], whole[place] ^ 0xFF
        try:
            assert opened(square_webp(bytes(whole))).size == (256, 256)
        except PortalError as error:
            assert error.status == 422
        whole[place] = kept


CLEAN = {"a plain one", "a thousand frames as PNG", "a thousand frames as WebP"}


def test_bombs_take_little_memory() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.accounts.bombs"], capture_output=True, timeout=300, check=True)
    lines = [line.split("|") for line in done.stdout.decode().splitlines()]
    assert [line[0] for line in lines] == list(BOMBS)
    for bomb, size, said, megabytes, seconds in lines:
        print(f"{bomb}: {size} bytes, {said}, {megabytes} MB, {seconds} s")
        assert said in ({"clean"} if bomb in CLEAN else {"INVALID", "TOO_LARGE"}), bomb
        assert int(megabytes) < 50, bomb


def test_the_limit_of_pixels_is_exact() -> None:
    assert square_webp(written(Image.new("L", (5000, 4000)), "JPEG"))
    with pytest.raises(Invalid):
        square_webp(written(Image.new("L", (5001, 4000)), "JPEG"))


def test_four_megabytes_and_no_byte_more() -> None:
    whole = plain()
    assert square_webp(whole + b"\0" * (MOST_BYTES - len(whole)))
    with pytest.raises(TooLarge):
        square_webp(whole + b"\0" * (MOST_BYTES - len(whole) + 1))


def test_two_at_once_and_no_third(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most, lock = 0, 0, threading.Lock()
    draw, hold = pictures._drawn, threading.Event()

    def slowly(content: bytes, kind: str) -> bytes:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        hold.wait(0.05)
        with lock:
            busy -= 1
        return draw(content, kind)

    monkeypatch.setattr(pictures, "_drawn", slowly)
    assert len(race(8, lambda _: square_webp(plain()))) == 8
    assert most == 2
    monkeypatch.setattr(pictures, "WAIT_S", 0.01)
    pictures._places.acquire()
    pictures._places.acquire()
    try:
        with pytest.raises(Unavailable):
            square_webp(plain())
    finally:
        pictures._places.release()
        pictures._places.release()


def test_a_few_wait_and_the_next_is_told_at_once() -> None:
    """Each holds a thread while it waits: whoever sends many at once must leave some to everybody else."""
    held = [pictures._places.acquire() for _ in range(pictures.MOST_AT_ONCE)]
    waiting = [threading.Thread(target=square_webp, args=(plain(),)) for _ in range(pictures.MOST_WAITING)]
    try:
        for one in waiting:
            one.start()
        while pictures._waiting._value:
            time.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            square_webp(plain())
        assert time.monotonic() - began < pictures.WAIT_S / 2
    finally:
        for _ in held:
            pictures._places.release()
        for one in waiting:
            one.join()
    assert pictures._waiting._value == pictures.MOST_WAITING


def test_it_is_drawn_outside_any_transaction(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    make_account("alice")
    seen: list[bool] = []
    draw = pictures._drawn

    def watched(content: bytes, kind: str) -> bytes:
        seen.append(in_transaction())
        return draw(content, kind)

    monkeypatch.setattr(pictures, "_drawn", watched)
    with transaction():
        set_picture(actor_named("alice"), plain())
    assert seen == [False]


def send_picture(who: Visitor, content: bytes, name: str = "me.png", mimetype: str = "image/png") -> SeenPage:
    file: Any = (io.BytesIO(content), name, mimetype)
    page = who.send(who.get("/account/picture"), {"picture": file})
    page.response.request.environ["wsgi.input"].close()  # the client's own copy of what it sent
    return page


def picture_of(name: str) -> UUID | None:
    db.session.expire_all()
    return db.session.scalars(select(Account.picture_id).where(Account.username_canonical == name)).one()


def test_it_is_sent_seen_replaced_and_removed(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert "This is your picture now." in send_picture(alice, plain()).text
    first = picture_of("alice")
    shown = alice.get(f"/account/picture/{first}").response
    assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Disposition"].startswith("inline")
    assert "default-src 'none'" in shown.headers.getlist("Content-Security-Policy")
    assert shown.headers["Cache-Control"] == "private, no-cache"
    assert shown.headers["X-Frame-Options"] == "DENY"
    again = alice.get(f"/account/picture/{first}", headers={"If-None-Match": shown.headers["ETag"]})
    assert again.status == 304
    for page in ("/account/picture", "/account/profile", "/account/sessions"):
        assert f'src="/account/picture/{first}"' in alice.get(page).html, page
    send_picture(alice, plain("JPEG"))
    second = picture_of("alice")
    assert second not in {None, first}
    assert alice.get(f"/account/picture/{first}").status == 404
    assert alice.get(f"/account/picture/{second}").status == 200
    alice.send(alice.get("/account/picture"), to="/account/picture/remove")
    assert alice.get(f"/account/picture/{second}").status == 404
    assert picture_of("alice") is None
    assert db.session.scalar(select(func.count()).select_from(Picture)) == 0
    assert "<img" not in alice.get("/account/profile").html


@pytest.mark.parametrize("content", [SVG, b"<script>alert(1)</script>", plain()[:60], b""])
def test_what_is_refused_is_told_beside_the_field_and_leaves_nothing(
    person: Callable[..., Visitor], content: bytes
) -> None:
    alice = person("alice")
    page = send_picture(alice, content)
    assert page.status == 422
    assert "picture" in page.text
    assert db.session.scalar(select(func.count()).select_from(Picture)) == 0


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "CON", "a" * 300 + ".png", "\u202egnp.exe", ""])
def test_the_name_of_the_file_is_never_used(person: Callable[..., Visitor], name: str) -> None:
    alice = person("alice")
    page = send_picture(alice, plain(), name, "text/html")
    assert (picture_of("alice") is not None) == (name != "")
    assert "passwd" not in page.text


def test_a_file_that_is_too_large_is_refused_before_it_is_read(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    alice.get("/account/picture")
    read = 0

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            nonlocal read
            read += size
            return b"x" * size

    answer = alice.client.post(
        "/account/picture",
        environ_overrides={"wsgi.input": Endless(), "CONTENT_LENGTH": str(MOST_BYTES + 20_000)},
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 413
    assert read == 0
    assert send_picture(alice, plain() + b"\0" * MOST_BYTES).status == 413


def test_only_those_see_it_who_may_see_the_record(person: Callable[..., Visitor]) -> None:
    alice, bob, tess, ada, mallory = (person(name) for name in ("alice", "bob", "tess", "ada", "max"))
    send_picture(alice, plain())
    send_picture(tess, plain())
    of_alice, of_tess = picture_of("alice"), picture_of("tess")
    seen = {
        name: [who.get(f"/account/picture/{one}").status for one in (of_alice, of_tess, uuid4())]
        for name, who in (("alice", alice), ("bob", bob), ("tess", tess), ("ada", ada), ("max", mallory))
    }
    assert seen == {
        "alice": [200, 404, 404],
        "bob": [404, 404, 404],
        "tess": [200, 200, 404],
        "ada": [200, 200, 404],
        "max": [404, 404, 404],
    }
    user = db.session.scalars(select(Account.id).where(Account.username_canonical == "alice")).one()
    assert f"/account/picture/{of_alice}" in tess.get(f"/staff/users/{user}").html
    assert f"/account/picture/{of_alice}" in ada.get(f"/admin/users/{user}").html
    with transaction():
        delete_user(actor_named("ada").because("asked for it"), user, typed_name="alice")
    assert ada.get(f"/account/picture/{of_alice}").status == 404


def test_of_many_pictures_sent_at_once_one_stays(app: Doorward, person: Callable[..., Visitor]) -> None:
    account = make_account("alice")
    actor, content = actor_named("alice"), plain()

    def send(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    set_picture(actor, content)
            except Exception as error:  # a page answers 409 to these
                return type(error).__name__
            return "sent"

    said = race(8, send)
    assert "sent" in said
    assert set(said) <= {"sent", "IntegrityError", "StaleDataError"}
    db.session.expire_all()
    assert db.session.scalars(select(Picture.id)).all() == [db.session.get_one(Account, account.id).picture_id]

"""QR codes as pictures for the policy of our pages, drawn here: the text is a secret and goes to nobody."""

from __future__ import annotations


def qr_picture(text: str) -> str:
    """The QR code of a text as a `data:` address of an SVG picture, dark on white with the quiet zone around it."""
    import segno

    return str(segno.make(text, error="m").svg_data_uri(scale=5, border=4, light="#fff", dark="#000"))

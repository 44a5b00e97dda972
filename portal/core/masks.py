"""Masks: enough to tell two people apart on the phone, too little to write to them."""

from __future__ import annotations

DOTS = "•••"


def mask_email(email: str) -> str:
    """`alice@example.org` as `a•••@e•••.org`."""
    local, at, domain = email.partition("@")
    if not at:
        return DOTS if email else ""
    name, dot, end = domain.rpartition(".")
    if not dot:  # such as root@localhost: the whole domain would be its ending
        name, end = domain, ""
    return f"{local[:1]}{DOTS}@{name[:1]}{DOTS}{dot}{end}"


def mask_address(address: str) -> str:
    """A network address with its last part left out."""
    if not address:
        return ""
    mark = ":" if ":" in address else "."
    return mark.join(address.split(mark)[:2]) + mark + DOTS

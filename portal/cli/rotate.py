"""`doorward rotate`: the encryption key, and the key that signs access tokens."""

from __future__ import annotations

import time

import click

from portal.cli.frame import echo_json, fail, in_frame, load_settings, opened, ready_app
from portal.core.access import operator_actor
from portal.core.crypto import makes_own_keys
from portal.core.database import transaction
from portal.core.errors import PortalError
from portal.privacy.rotation import STORES, Store, begin_rotation, finish_rotation
from portal.tokens.rotating import rotate_signing_key

# Between two batches others write.
PAUSE_S = 0.01


@click.group()
def rotate() -> None:
    """Put a new key in the place of an old one, while the server goes on."""


@rotate.command("encryption-key")
def rotate_encryption_key() -> None:
    """Seal by a new key whatever the former ones sealed; run again, it goes on where it was ended.

    In development a new key is made. Otherwise put it first in ENCRYPTION_KEYS, the present one behind it, and start
    everything anew before.
    """
    with opened(ready_app(load_settings(log_level="error"))):
        try:
            with transaction():
                fresh = begin_rotation(operator_actor())
            click.echo("a new key comes first" if fresh else "going on to the key that comes first", err=True)
            anew, lost = {}, {}
            for store in STORES:
                anew[store.words], lost[store.words] = _turn(store)
            with transaction():
                finish_rotation(operator_actor(), count=sum(anew.values()), lost_keys=lost["data keys"])
            own = makes_own_keys()
        except PortalError as error:
            fail(str(error.words))
    away = "Nothing needs the former key any more" + ("." if own else ": take it out of ENCRYPTION_KEYS.")
    backup = "Make a backup now: those of before need the former key."
    echo_json({"sealed_anew": anew, "unreadable": lost, "next": [away, backup]})


@rotate.command("signing-key")
@in_frame
def rotate_signing() -> None:
    """Sign access tokens by a new key from now on; running servers notice by themselves, and nobody is signed out."""
    made, dropped = rotate_signing_key(operator_actor())
    told = {"kid": made.kid, "algorithm": made.key.alg, "file": made.path.name, "deleted": dropped}
    echo_json(told | {"next": ["Where hosts do not share the folder, copy the file to each of them now."]})


def _turn(store: Store) -> tuple[int, int]:
    """(how many were sealed anew; how many no key here opens, which are left as they are)."""
    total, lost = 0, 0
    while True:
        last, done, lost = None, 0, 0
        while True:
            with transaction():
                step = store.turn(last)
            if step.last is None:
                break
            last, done, lost = step.last, done + step.done, lost + step.lost
            click.echo(f"{store.words}: {total + done} sealed anew", err=True)
            time.sleep(PAUSE_S)
        total += done
        if not done:  # whoever had begun to seal by the former key is over by now
            return total, lost

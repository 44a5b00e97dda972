"""Whatever a key of ENCRYPTION_KEYS seals by itself, the rotation of that key knows of."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from portal.privacy.rotation import STORES
from tests.structure.source import Module, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

# Who seals under ENCRYPTION_KEYS, and by what words the rotation calls it; None: it is sealed anew at the end.
SEALERS = {
    "portal.mail.outbox": "mails",
    "portal.signin.steps": "steps of signing in",
    "portal.signin.authenticator": "authenticator apps",
    "portal.outside.managing": "sign-in providers",
    "portal.privacy.deletion": "deleted users",
    "portal.messages.sealing": "records set aside",
    "portal.core.data_keys": "data keys",
}
MAKERS = {"portal.core.crypto.seal", "portal.core.envelopes.wrap_key"}


def sealers(modules: Iterable[Module]) -> set[str]:
    """The modules that seal something under a key of the settings."""
    return {
        module.name
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func) in MAKERS
    }


def test_whatever_is_sealed_is_rotated() -> None:
    assert sealers(portal_modules()) == set(SEALERS)
    assert {store.words for store in STORES} == set(SEALERS.values())


def test_a_new_sealer_is_reported() -> None:
    for text in (
        "from portal.core import crypto\ncrypto.seal({}, place='x')\n",
        "from portal.core.crypto import seal as close\nclose({}, place='x')\n",
        "from portal.core.envelopes import wrap_key\nwrap_key(b'', place='x')\n",
    ):
        assert sealers([Module("portal.keys.planted", text)]) == {"portal.keys.planted"}

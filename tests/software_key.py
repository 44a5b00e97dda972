"""An authenticator in software: makes passkeys and signs with them as a device does, and lies where a test wants it."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

SITE = "http://localhost:8000"
# Flags of authenticator data (WebAuthn Level 3, 6.1): present, verified, fit for backup, backed up, holds a new key.
PRESENT, VERIFIED, BACKUP_FIT, BACKED_UP, NEW_KEY = 1, 4, 8, 16, 64


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return urlsafe_b64decode(text + "==")


@dataclass
class SoftwareKey:
    """One passkey on one device. Every field may be set to what an honest device would not say."""

    origin: str = SITE
    rp_id: str = "localhost"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    step: int = 1
    handle: bytes | None = None
    client_extras: dict[str, Any] = field(default_factory=dict)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> bytes:
        """As COSE (RFC 9053, 7.1.1)."""
        point = self.private.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})

    def make(self, options: str | dict[str, Any]) -> str:
        """The answer to the options of a registration."""
        asked = json.loads(options) if isinstance(options, str) else options
        self.handle = unb64(asked["user"]["id"])
        data = self._data(self.flags | NEW_KEY)
        data += bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self.public_key
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64(self._client_data("webauthn.create", asked["challenge"])),
            "attestationObject": b64(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._answer(response)

    def sign(self, options: str | dict[str, Any], **changed: Any) -> str:
        """The answer to the options of a sign-in; `changed` replaces fields of its response."""
        asked = json.loads(options) if isinstance(options, str) else options
        self.count += self.step
        data = self._data(self.flags)
        client_data = self._client_data("webauthn.get", asked["challenge"])
        signature = self.private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client_data),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": None if self.handle is None else b64(self.handle),
        }
        return self._answer({**response, **changed})

    def _answer(self, response: dict[str, Any]) -> str:
        name = b64(self.credential_id)
        known = {"type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": {}}
        return json.dumps({"id": name, "rawId": name, "response": response, **known})

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps({**said, **self.client_extras}).encode()

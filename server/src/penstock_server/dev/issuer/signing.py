"""The key of the issuer, made when it starts, and what is signed with it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ALGORITHM: Final = "ES256"
_COORDINATE_BYTES: Final = 32


def base64url(raw: bytes) -> str:
    """Give unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def half_hash(text: str) -> str:
    """Give the left half of the SHA-256 of an ASCII text (OpenID Connect Core, `at_hash`)."""
    return base64url(hashlib.sha256(text.encode("ascii")).digest()[:16])


class SigningKey:
    """An ES256 key that lives and dies with this process: made in no time, unlike an RSA key."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._kid = f"dev-{secrets.token_hex(4)}"

    def jwks(self) -> dict[str, object]:
        """Give the public half as a JWK set."""
        point = self._private.public_key().public_numbers()
        x, y = (base64url(number.to_bytes(_COORDINATE_BYTES, "big")) for number in (point.x, point.y))
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self._kid, "x": x, "y": y}
        return {"keys": [key]}

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """Sign claims as a compact token with this header type."""
        header = {"alg": ALGORITHM, "typ": typ, "kid": self._kid}
        signed = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        # RFC 7518 section 3.4: the two numbers side by side, not the ASN.1 that the library gives.
        numbers = decode_dss_signature(self._private.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{base64url(b''.join(number.to_bytes(_COORDINATE_BYTES, 'big') for number in numbers))}"

"""The key of the issuer, made when it starts, and what is signed with it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def base64url(raw: bytes) -> str:
    """Give unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def half_hash(text: str) -> str:
    """Give the left half of the SHA-256 of an ASCII text (OpenID Connect Core, `at_hash`)."""
    return base64url(hashlib.sha256(text.encode("ascii")).digest()[:16])


class SigningKey:
    """An RS256 key that lives and dies with this process."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = f"dev-{secrets.token_hex(4)}"

    def jwks(self) -> dict[str, object]:
        """Give the public half as a JWK set."""
        numbers = self._private.public_key().public_numbers()
        n, e = (base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._kid, "n": n, "e": e}]}

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """Sign claims as a compact token with this header type."""
        header = {"alg": "RS256", "typ": typ, "kid": self._kid}
        signed = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        signature = self._private.sign(signed.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64url(signature)}"

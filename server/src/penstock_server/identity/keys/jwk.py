"""One JWK -> a key that may verify, or the reason why it may not."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from penstock_server.identity.strict_json import Json, JsonObject

_RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512"})
_CURVES: Final[dict[str, tuple[EllipticCurve, str]]] = {
    "P-256": (SECP256R1(), "ES256"),
    "P-384": (SECP384R1(), "ES384"),
    "P-521": (SECP521R1(), "ES512"),
}
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_MIN_RSA_EXPONENT: Final = 65537
_MAX_RSA_EXPONENT_BITS: Final = 64
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class UnusableKey(ValueError):
    """A published key that verifies nothing here; the message says why, in words for an operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key that passed every check. `algorithms` are those that it may verify: never both RS and ES.

    `digest` is SHA-256 over its SubjectPublicKeyInfo and algorithms.
    """

    kid: str
    algorithms: frozenset[str]
    public: RSAPublicKey | EllipticCurvePublicKey
    digest: bytes


def read_jwk(members: Json) -> VerificationKey:
    """Read one member of a key set.

    Raises:
        UnusableKey: of another type or curve, too short or too long, for encryption, private, or malformed.
    Source: RFC 7517 section 4, RFC 7518 section 6; python-jose checks none of this.
    """
    if not isinstance(members, dict):
        raise UnusableKey("it is no object")
    kid = members.get("kid")
    if not isinstance(kid, str) or not kid:
        raise UnusableKey("it has no kid")
    if "d" in members or "k" in members:
        raise UnusableKey("it holds private or symmetric key material")
    _require_signature_use(members)
    match members.get("kty"):
        case "RSA":
            public: RSAPublicKey | EllipticCurvePublicKey = _rsa(members)
            fits = _RSA_ALGORITHMS
        case "EC":
            public, fits = _elliptic(members)
        case _:
            raise UnusableKey("its kty is neither RSA nor EC")
    algorithms = _declared(members, fits)
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(encoded + ",".join(sorted(algorithms)).encode()).digest()
    return VerificationKey(kid=kid, algorithms=algorithms, public=public, digest=digest)


def _require_signature_use(members: JsonObject) -> None:
    if members.get("use", "sig") != "sig":
        raise UnusableKey("its use is not `sig`")
    operations = members.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("its key_ops do not hold `verify`")


def _declared(members: JsonObject, fits: frozenset[str]) -> frozenset[str]:
    if "alg" not in members:
        return fits
    algorithm = members["alg"]
    if not isinstance(algorithm, str) or algorithm not in fits:
        raise UnusableKey("its alg does not fit its kty and curve, or is not supported (RS and ES 256, 384, 512 are)")
    return frozenset({algorithm})


def _rsa(members: JsonObject) -> RSAPublicKey:
    modulus = _unsigned(members, "n")
    exponent = _unsigned(members, "e")
    if not _MIN_RSA_BITS <= modulus.bit_length() <= _MAX_RSA_BITS:
        raise UnusableKey("its RSA modulus is not of 2048 to 8192 bits")
    if modulus % 2 == 0:
        raise UnusableKey("its RSA modulus is even, so it is no product of two large primes")
    # SECURITY: e = 3 with this padding invites forged signatures; an even or enormous e is no RSA key at all.
    if exponent % 2 == 0 or exponent < _MIN_RSA_EXPONENT or exponent.bit_length() > _MAX_RSA_EXPONENT_BITS:
        raise UnusableKey("its RSA exponent is not odd and between 65537 and 2^64")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("its RSA numbers are no key") from None


def _elliptic(members: JsonObject) -> tuple[EllipticCurvePublicKey, frozenset[str]]:
    name = members.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise UnusableKey("its curve is none of P-256, P-384, P-521")
    curve, algorithm = _CURVES[name]
    x, y = _unsigned(members, "x"), _unsigned(members, "y")
    try:
        public = EllipticCurvePublicNumbers(x, y, curve).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("its point is not on its curve") from None
    return public, frozenset({algorithm})


def _unsigned(members: JsonObject, name: str) -> int:
    text = members.get(name)
    if not isinstance(text, str) or _BASE64URL.fullmatch(text) is None:
        raise UnusableKey(f"its {name} is not unpadded base64url")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except binascii.Error:
        raise UnusableKey(f"its {name} is not unpadded base64url") from None

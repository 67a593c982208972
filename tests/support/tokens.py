"""Keys and tokens for tests: everything a good identity provider would sign, and everything a bad one could.

A token is built from bytes here, never by a JOSE library, so that a test can break any part of it: pass
`header_text` or `payload_text` for JSON that no serializer would write. Keys are made once a process.

```python
mint = TokenMint(issuer="https://login.test", audience="penstock", key=rsa_key("k1"), now=clock.now)
token = mint("alice", groups=["analysts"])
token = mint("alice", header={"typ": "JWT"}, drop=("exp",))
```
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from penstock_server.config.settings import IdentitySettings, IssuerSettings
from penstock_server.model.request import RequestContext

ISSUER = "https://login.test"
AUDIENCE = "penstock"
CLIENT_ID = "penstock-cli"

_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_CURVES: dict[str, tuple[str, type[ec.EllipticCurve]]] = {
    "ES256": ("P-256", ec.SECP256R1),
    "ES384": ("P-384", ec.SECP384R1),
    "ES512": ("P-521", ec.SECP521R1),
}


def base64url(raw: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def base64url_bytes(text: str) -> bytes:
    """The bytes of unpadded base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unsigned(number: int, length: int | None = None) -> str:
    size = length if length is not None else (number.bit_length() + 7) // 8
    return base64url(number.to_bytes(size, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with the `kid` and `alg` under which its public half is published."""

    kid: str
    algorithm: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    def public_jwk(self, *, drop: Iterable[str] = (), **overrides: Any) -> dict[str, Any]:
        """The public half as a JWK; `overrides` replace or add members, `drop` removes them."""
        public = self.private.public_key()
        jwk: dict[str, Any] = {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            jwk |= {"kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}
        else:
            point = public.public_numbers()
            size = (public.curve.key_size + 7) // 8
            names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
            jwk |= {"kty": "EC", "crv": names.get(public.curve.name, public.curve.name)}
            jwk |= {"x": _unsigned(point.x, size), "y": _unsigned(point.y, size)}
        jwk |= overrides
        return {name: value for name, value in jwk.items() if name not in set(drop)}

    def sign(self, message: bytes, *, algorithm: str | None = None) -> bytes:
        """A JWS signature; `algorithm` picks another hash than the key's own."""
        digest = _HASHES[(algorithm or self.algorithm)[2:]]()
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(message, padding.PKCS1v15(), digest)
        size = (self.private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


@functools.cache
def rsa_key(kid: str = "rsa-1", *, bits: int = 2048, exponent: int = 65537, algorithm: str = "RS256") -> SigningKey:
    """An RSA key, the same one for the same arguments within a process."""
    private = rsa.generate_private_key(public_exponent=exponent, key_size=bits)
    return SigningKey(kid=kid, algorithm=algorithm, private=private)


@functools.cache
def ec_key(kid: str = "ec-1", *, algorithm: str = "ES256") -> SigningKey:
    """An EC key on the curve of its algorithm, the same one for the same arguments within a process."""
    return SigningKey(kid=kid, algorithm=algorithm, private=ec.generate_private_key(_CURVES[algorithm][1]()))


def jwks(*keys: SigningKey | Mapping[str, Any]) -> str:
    """A JWK set as text, in the order given; a mapping is published as it is."""
    return json.dumps({"keys": [key.public_jwk() if isinstance(key, SigningKey) else dict(key) for key in keys]})


def write_jwks(path: Path, *keys: SigningKey | Mapping[str, Any]) -> Path:
    """Publish a key set as a file, replaced atomically as a careful operator would."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(jwks(*keys), encoding="utf-8")
    fresh.replace(path)
    return path


def compact(
    header_text: str | bytes, payload_text: str | bytes, key: SigningKey, *, algorithm: str | None = None
) -> str:
    """Sign exactly these bytes and give the compact form."""
    raw = [
        part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in (header_text, payload_text)
    ]
    signed = ".".join(base64url(part) for part in raw)
    return f"{signed}.{base64url(key.sign(signed.encode(), algorithm=algorithm))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMint:
    """Mints access tokens as RFC 9068 says, with anything overridden that a test wants to be wrong.

    Called with a subject and claims. `header` adds or replaces header members, `drop` removes claims and
    `drop_header` header members; `header_text` and `payload_text` replace the JSON altogether.
    """

    issuer: str = ISSUER
    audience: str = AUDIENCE
    client_id: str = CLIENT_ID
    key: SigningKey
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lifetime: timedelta = timedelta(minutes=10)

    def claims(self, subject: str = "alice", *, drop: Iterable[str] = (), **claims: Any) -> dict[str, Any]:
        """The payload before it is signed."""
        issued = int(self.now().timestamp())
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "jti": secrets.token_urlsafe(12),
            "client_id": self.client_id,
            "preferred_username": subject,
            "groups": [],
        }
        payload |= claims
        return {name: value for name, value in payload.items() if name not in set(drop)}

    def header(self, *, drop: Iterable[str] = (), **members: Any) -> dict[str, Any]:
        """The header before it is signed."""
        header: dict[str, Any] = {"alg": self.key.algorithm, "typ": "at+jwt", "kid": self.key.kid}
        header |= members
        return {name: value for name, value in header.items() if name not in set(drop)}

    def __call__(
        self,
        subject: str = "alice",
        *,
        header: Mapping[str, Any] | None = None,
        header_text: str | bytes | None = None,
        payload_text: str | bytes | None = None,
        drop: Iterable[str] = (),
        drop_header: Iterable[str] = (),
        key: SigningKey | None = None,
        algorithm: str | None = None,
        **claims: Any,
    ) -> str:
        """Mint one token. `key` signs in place of the mint's own, under the header of the mint's own."""
        if header_text is None:
            header_text = json.dumps(self.header(drop=drop_header, **(header or {})))
        if payload_text is None:
            payload_text = json.dumps(self.claims(subject, drop=drop, **claims))
        return compact(header_text, payload_text, key or self.key, algorithm=algorithm)


def issuer_settings(**overrides: Any) -> IssuerSettings:
    """Settings of the test issuer with the documented defaults; give one of `jwks_file` and `jwks_uri`."""
    settings = IssuerSettings(
        issuer=ISSUER,
        audience=AUDIENCE,
        client_id=CLIENT_ID,
        scopes=("openid",),
        device_flow=False,
        jwks_file=None,
        jwks_uri=None,
        algorithms=frozenset({"RS256", "ES256"}),
        token_types=frozenset({"at+jwt"}),
        username_claim="preferred_username",
        groups_claim=("groups",),
        group_prefix="",
        attribute_claims=(),
        required_claims=(),
        default=True,
        max_token_age=timedelta(hours=1),
        allowed_clients=frozenset(),
        ca=None,
    )
    return replace(settings, **overrides)


def identity_settings(*issuers: IssuerSettings) -> IdentitySettings:
    """Identity settings with these issuers and no administrators or auditors."""
    return IdentitySettings(issuers=issuers, administrators=(), auditors=())


def request_context(*, client_certificate: bytes | None = None) -> RequestContext:
    """The context of a call from this machine."""
    return RequestContext(
        request_id="00000000-0000-4000-8000-000000000000",
        peer_address="127.0.0.1",
        client_certificate=client_certificate,
    )


@dataclass(slots=True, kw_only=True)
class SteppedClock:
    """A clock that stands still until it is moved."""

    instant: datetime = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    elapsed: float = 1000.0

    def now(self) -> datetime:
        """The instant it stands at."""
        return self.instant

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return self.elapsed

    def advance(self, step: timedelta) -> None:
        """Move both readings on."""
        self.instant += step
        self.elapsed += step.total_seconds()


class NoFloors:
    """Nobody has been revoked."""

    def floor(self, issuer: str, subject: str) -> int | None:
        """None, for everyone."""
        del issuer, subject
        return None

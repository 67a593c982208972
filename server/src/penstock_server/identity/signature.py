"""Step 6: the signature. The only user of python-jose, for `jws.verify(token, one_key, [one_alg])` alone.

Its `jwt.decode` is not used: it accepts a token without `exp` or `aud`, unknown `crit`, duplicate members, junk in
base64, and tries every key of a set whatever `kid` says. Its key parser is not used either: it takes RSA keys of
any size and an ES256 verifier from a P-384 key. Keys come here as objects that `keys.jwk` has checked.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jose import backends, jws
from jose.backends.base import Key
from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey
from jose.exceptions import JWSError

from penstock_server.errors import ConfigurationError
from penstock_server.identity.keys.jwk import VerificationKey
from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.token_bytes import CompactToken

SUPPORTED_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})


def require_cryptography_backend() -> None:
    """Refuse to start where python-jose would fall back to its pure Python backends.

    Raises:
        ConfigurationError: the backend is not `cryptography`.
    Source: CVE-2024-23342 (`ecdsa` is not constant-time); python-jose falls back silently.
    """
    if backends.RSAKey is not CryptographyRSAKey or backends.ECKey is not CryptographyECKey:
        raise ConfigurationError(
            ("python-jose does not use the `cryptography` backend: install `python-jose[cryptography]`",)
        )


def verify(token: CompactToken, key: VerificationKey, algorithm: str) -> None:
    """Check that this key signed this token under this algorithm.

    The caller has checked that `algorithm` is allowed, is the header's, and fits the key.

    Raises:
        Unauthenticated: it did not.
    """
    try:
        payload = jws.verify(token.text, _jose_key(key, algorithm), [algorithm])
    except JWSError:
        raise refused(Rule.SIGNATURE, "the signature does not verify under the key that the header names") from None
    if payload != token.payload:
        # INVARIANT: what is read later is what was signed; two decoders stand between the text and us.
        raise refused(Rule.SIGNATURE, "the signed payload is not the one that was read")


def _jose_key(key: VerificationKey, algorithm: str) -> Key:
    if isinstance(key.public, RSAPublicKey):
        return CryptographyRSAKey(key.public, algorithm)
    return CryptographyECKey(key.public, algorithm)

from __future__ import annotations

from typing import Any

import pytest
from penstock_server.identity.keys.jwk import UnusableKey, read_jwk
from penstock_server.identity.keys.key_set import read_key_set
from support.tokens import base64url, ec_key, jwks, rsa_key

RSA = rsa_key().public_jwk()
EC = ec_key().public_jwk()


def test_a_key_serves_the_algorithms_that_fit_it() -> None:
    undeclared = rsa_key().public_jwk(drop=("alg", "use"))
    assert read_jwk(RSA).algorithms == {"RS256"}
    assert read_jwk(undeclared).algorithms == {"RS256", "RS384", "RS512"}
    for algorithm in ("ES256", "ES384", "ES512"):
        key = ec_key(algorithm=algorithm).public_jwk(drop=("alg",), key_ops=["verify"])
        assert read_jwk(key).algorithms == {algorithm}


@pytest.mark.parametrize(
    ("jwk", "why"),
    [
        (7, "no object"),
        ({}, "no kid"),
        ({**RSA, "kid": ""}, "no kid"),
        ({**RSA, "kid": 1}, "no kid"),
        ({**RSA, "kty": "EC"}, "curve"),
        ({**RSA, "kty": "rsa"}, "neither RSA nor EC"),
        ({**RSA, "n": RSA["n"] + "="}, "n is not unpadded base64url"),
        ({**RSA, "n": RSA["n"] + "\n"}, "n is not unpadded base64url"),
        ({**RSA, "n": 7}, "n is not unpadded base64url"),
        ({**RSA, "n": "A"}, "n is not unpadded base64url"),
        ({**RSA, "n": "AQAB"}, "not of 2048 to 8192 bits"),
        ({**RSA, "n": base64url(b"\xff" * 1025)}, "not of 2048 to 8192 bits"),
        ({**RSA, "n": base64url(b"\x7f" + b"\xff" * 255)}, "not of 2048 to 8192 bits"),
        ({**RSA, "e": "AQ"}, "exponent"),
        ({**RSA, "e": "Aw"}, "exponent"),
        ({**RSA, "e": base64url(b"\xff\xff")}, "exponent"),
        ({**RSA, "e": base64url(b"\x01\x00\x02")}, "exponent"),
        ({**RSA, "e": base64url(b"\x01\x00\x00")}, "exponent"),
        ({**RSA, "e": base64url(b"\x01" + b"\x00" * 7 + b"\x01")}, "exponent"),
        ({**RSA, "n": base64url(b"\xff" * 255 + b"\xfe")}, "even"),
        ({**EC, "crv": "P-384"}, "alg does not fit|not on its curve"),
        ({**EC, "crv": "secp256k1"}, "curve is none of"),
        ({**EC, "crv": ["P-256"]}, "curve is none of"),
        ({**EC, "x": EC["y"]}, "not on its curve"),
        ({**EC, "x": "AA", "y": "AA"}, "not on its curve"),
        ({**EC, "x": base64url(b"\xff" * 2000)}, "not on its curve"),
        ({**EC, "y": None}, "y is not unpadded"),
        ({**EC, "alg": "ES384"}, "alg does not fit"),
        ({**EC, "alg": None}, "alg does not fit"),
        ({**EC, "alg": ["ES256"]}, "alg does not fit"),
        ({**EC, "d": "AQAB"}, "private"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_refused(jwk: Any, why: str) -> None:
    with pytest.raises(UnusableKey, match=why):
        read_jwk(jwk)


def test_a_set_stands_without_the_keys_that_cannot_be_used() -> None:
    raw = jwks({**RSA, "kid": "enc", "use": "enc"}, EC, {**RSA, "n": "AQAB", "kid": "short"}, RSA).encode()
    keys = read_key_set(raw)
    assert set(keys.usable) == {"ec-1", "rsa-1"}
    assert set(keys.unusable) == {"enc", "short"}


def test_an_encryption_key_does_not_take_the_name_of_a_signing_key() -> None:
    keys = read_key_set(jwks({**RSA, "use": "enc"}, RSA).encode())
    assert set(keys.usable) == {"rsa-1"}


def test_a_set_is_another_one_when_any_usable_key_is() -> None:
    digests = [
        read_key_set(jwks(*keys).encode()).digest
        for keys in (
            [RSA],
            [RSA, EC],
            [{**RSA, "kid": "b"}],
            [{**rsa_key("other").public_jwk(), "kid": "rsa-1"}],
            [{name: value for name, value in RSA.items() if name != "alg"}],
            [],
        )
    ]
    assert len(set(digests)) == len(digests)
    assert read_key_set(jwks(EC, RSA).encode()).digest == digests[1]
    assert read_key_set(jwks(RSA, {**RSA, "kid": "enc", "use": "enc"}).encode()).digest == digests[0]

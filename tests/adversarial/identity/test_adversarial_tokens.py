"""Fifteen families of tokens that an attacker would try, each minted with the good key unless said.

Every case asserts the rule that fired and the one outward error (in `refuses`), so that no case passes because of
another mistake in it. `test_a_good_token_is_accepted` is the control: the same token with nothing wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.principal import Group
from support.tokens import (
    AUDIENCE,
    CLIENT_ID,
    ISSUER,
    NoFloors,
    SteppedClock,
    TokenMint,
    base64url,
    base64url_bytes,
    compact,
    ec_key,
    identity_settings,
    issuer_settings,
    request_context,
    rsa_key,
    write_jwks,
)
from support.verifying import Bench, refusal, verifying

ATTACKER = rsa_key("attacker")
OTHER_ISSUER = "https://other.test"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with verifying(tmp_path) as running:
        yield running


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[Bench]:
    """An issuer that cannot type its tokens: the most that configuration can give away."""
    async with verifying(tmp_path, token_types=frozenset({"at+jwt", "jwt", ""})) as running:
        yield running


async def test_a_good_token_is_accepted(bench: Bench) -> None:
    principal = await bench.accepts(bench.mint("alice", groups=["analysts"]))
    assert (principal.issuer, principal.subject) == (ISSUER, "alice")
    assert principal.groups == frozenset({Group(issuer=ISSUER, name="analysts")})


# 1. No signature.


@pytest.mark.parametrize("algorithm", ["none", "nOnE", "NONE", ""])
@pytest.mark.parametrize("signed", [True, False], ids=["with a signature", "with an empty signature"])
async def test_01_no_algorithm_is_refused(bench: Bench, algorithm: str, signed: bool) -> None:
    token = bench.mint(header={"alg": algorithm})
    if not signed:
        token = token.rpartition(".")[0] + "."
    assert await bench.refuses(token) == ("algorithm" if signed else "token-encoding")


async def test_01_a_good_token_without_its_signature_is_refused(bench: Bench) -> None:
    head, _, signature = bench.mint().rpartition(".")
    assert await bench.refuses(f"{head}.") == "token-encoding"
    assert await bench.refuses(f"{head}.AAAA") == "signature"
    assert await bench.refuses(f"{head}.{base64url(bytes(len(base64url_bytes(signature))))}") == "signature"


# 2. The public key as an HMAC secret.


def _public_key_spellings() -> dict[str, bytes]:
    public = rsa_key().private.public_key()
    jwk = rsa_key().public_jwk()
    return {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "PEM without its last line end": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        "PKCS1 PEM": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK text": json.dumps(jwk).encode(),
        "modulus": base64url_bytes(jwk["n"]),
        "nothing": b"",
    }


@pytest.mark.parametrize("spelling", list(_public_key_spellings()))
@pytest.mark.parametrize(("algorithm", "digest"), [("HS256", "sha256"), ("HS512", "sha512")])
async def test_02_the_public_key_is_no_hmac_secret(bench: Bench, spelling: str, algorithm: str, digest: str) -> None:
    header = json.dumps(bench.mint.header(alg=algorithm)).encode()
    signed = f"{base64url(header)}.{base64url(json.dumps(bench.mint.claims()).encode())}"
    mac = hmac.new(_public_key_spellings()[spelling], signed.encode(), digest).digest()
    assert await bench.refuses(f"{signed}.{base64url(mac)}") == "algorithm"


# 3. Which key.


async def test_03_a_kid_of_one_key_over_a_signature_of_another_is_refused(tmp_path: Path) -> None:
    first, second = rsa_key("first"), rsa_key("second")
    async with verifying(tmp_path, first, second, mint=TokenMint(key=first)) as bench:
        await bench.accepts(bench.mint())
        assert await bench.refuses(bench.mint(key=second)) == "signature"


@pytest.mark.parametrize(
    ("kid", "rule"),
    [
        (None, "key-id"),
        (7, "key-id"),
        (True, "key-id"),
        ({"kid": "rsa-1"}, "key-id"),
        (["rsa-1"], "key-id"),
        ("", "key-id"),
        ("k" * 129, "key-id"),
        ("../../etc/passwd", "key-not-found"),
        ("RSA-1", "key-not-found"),
        ("rsa-1 ", "key-not-found"),
        ("rsa-1\x00", "key-not-found"),
        ("' or 1=1 --", "key-not-found"),
    ],
)
async def test_03_a_kid_that_names_no_key_exactly_is_refused(bench: Bench, kid: Any, rule: str) -> None:
    assert await bench.refuses(bench.mint(header={"kid": kid})) == rule


async def test_03_a_token_without_kid_is_refused_though_there_is_only_one_key(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop_header=("kid",))) == "key-id"


async def test_03_a_kid_that_two_keys_have_is_refused(tmp_path: Path) -> None:
    other = ATTACKER.public_jwk(kid="rsa-1")
    async with verifying(tmp_path, rsa_key(), other, ec_key()) as bench:
        assert await bench.refuses(bench.mint()) == "key-unusable"
        assert await bench.refuses(bench.mint(key=ATTACKER)) == "key-unusable"


# 4. A key that the token brings along.


@pytest.mark.parametrize("with_kid", ["rsa-1", "attacker"])
@pytest.mark.parametrize(
    "members",
    [
        {"jwk": ATTACKER.public_jwk()},
        {"jku": "https://attacker.test/jwks.json"},
        {"x5u": "https://attacker.test/certificate.pem"},
        {"x5c": ["MIIB"]},
    ],
    ids=["jwk", "jku", "x5u", "x5c"],
)
async def test_04_a_key_in_the_token_is_refused(bench: Bench, members: dict[str, Any], with_kid: str) -> None:
    token = bench.mint(header={**members, "kid": with_kid}, key=ATTACKER)
    assert await bench.refuses(token) == "header-member"
    assert await bench.refuses(bench.mint(header=members)) == "header-member"


# 5. Extensions that change what the signature means.


@pytest.mark.parametrize(
    "members",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
async def test_05_critical_extensions_are_refused(bench: Bench, members: dict[str, Any]) -> None:
    assert await bench.refuses(bench.mint(header=members)) == "header-member"


async def test_05_header_members_that_are_not_critical_are_ignored(bench: Bench) -> None:
    await bench.accepts(bench.mint(header={"x5t": "dGh1bWI", "pi.atm": "kxf1", "nonce": "entra"}))


# 6. Tokens of another kind.


@pytest.mark.parametrize(
    "type_", ["JWT", "logout+jwt", "secevent+jwt", "dpop+jwt", "rt+jwt", "JOSE", "at+jwt ", "", 1, None]
)
async def test_06_another_typ_is_refused(bench: Bench, type_: Any) -> None:
    assert await bench.refuses(bench.mint(header={"typ": type_})) == "typ"


async def test_06_no_typ_is_refused(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop_header=("typ",))) == "typ"


@pytest.mark.parametrize("type_", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
async def test_06_a_media_type_has_four_spellings(bench: Bench, type_: str) -> None:
    await bench.accepts(bench.mint(header={"typ": type_}))


@pytest.mark.parametrize("typ", ["JWT", None, "at+jwt"], ids=["JWT", "no typ", "at+jwt"])
@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n-0S6_WzA2Mj"},
        {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
        {"c_hash": "LDktKdoQak3Pk0cnXxCltA"},
        {"s_hash": "LDktKdoQak3Pk0cnXxCltA"},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"token_use": "id"},
        {"token_use": ["access"]},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Logout"},
        {"typ": None},
    ],
    ids=lambda claims: json.dumps(claims)[:24],
)
async def test_06_a_token_that_shows_another_kind_is_refused(
    lenient: Bench, claims: dict[str, Any], typ: str | None
) -> None:
    header, drop = ({"typ": typ}, ()) if typ else ({}, ("typ",))
    token = lenient.mint(header=header, drop_header=drop, scope="query", **claims)
    assert await lenient.refuses(token) == "token-kind"


@pytest.mark.parametrize("claims", [{}, {"scope": ""}, {"scope": " "}, {"scp": []}, {"roles": [""]}, {"scope": 1}])
async def test_06_an_untyped_token_must_prove_that_it_is_for_access(lenient: Bench, claims: dict[str, Any]) -> None:
    assert await lenient.refuses(lenient.mint(header={"typ": "JWT"}, **claims)) == "token-kind"
    assert await lenient.refuses(lenient.mint(drop_header=("typ",), **claims)) == "token-kind"


@pytest.mark.parametrize(
    "proof",
    [
        {"scope": "query"},
        {"scp": "query"},
        {"scp": ["query"]},
        {"roles": ["reader"]},
        {"token_use": "access"},
        {"typ": "Bearer"},
    ],
    ids=json.dumps,
)
async def test_06_an_untyped_token_with_a_proof_is_accepted(lenient: Bench, proof: dict[str, Any]) -> None:
    await lenient.accepts(lenient.mint(header={"typ": "JWT"}, **proof))
    await lenient.accepts(lenient.mint(drop_header=("typ",), **proof))


@pytest.mark.parametrize("drop", [(), ("client_id",)], ids=["client in the token", "client of the configuration"])
async def test_06_an_untyped_token_whose_audience_is_a_client_is_refused(lenient: Bench, drop: tuple[str, ...]) -> None:
    """One registration for the program and the service: its ID tokens have our audience."""
    token = lenient.mint(header={"typ": "JWT"}, aud=[AUDIENCE, CLIENT_ID], roles=["reader"], drop=drop)
    assert await lenient.refuses(token) == "token-kind"


# 7. Audience.


@pytest.mark.parametrize(
    ("audience", "rule"),
    [
        ([], "audience"),
        (["other"], "audience"),
        (["other", "penstock2"], "audience"),
        ("", "audience"),
        ("Penstock", "audience"),
        ("penstock/", "audience"),
        ("penstock ", "audience"),
        ("https://penstock", "audience"),
        ("penstoc", "audience"),
        ("penstock other", "audience"),
        (None, "claim-type"),
        (7, "claim-type"),
        ({"penstock": True}, "claim-type"),
        ([AUDIENCE, 7], "claim-type"),
        ([AUDIENCE, None], "claim-type"),
        ([[AUDIENCE]], "claim-type"),
    ],
    ids=json.dumps,
)
async def test_07_an_audience_that_is_not_exactly_ours_is_refused(bench: Bench, audience: Any, rule: str) -> None:
    assert await bench.refuses(bench.mint(aud=audience)) == rule


async def test_07_a_token_without_audience_is_refused(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop=("aud",))) == "claim-missing"


async def test_07_our_audience_among_others_is_accepted(bench: Bench) -> None:
    await bench.accepts(bench.mint(aud=["account", AUDIENCE]))


# 8. Issuer.


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        1,
        [ISSUER],
        {"iss": ISSUER},
        "",
        f"{ISSUER}/",
        ISSUER.upper(),
        f"{ISSUER}.evil.test",
        "http://login.test",
        f" {ISSUER}",
    ],
    ids=json.dumps,
)
async def test_08_an_issuer_that_is_not_exactly_configured_is_refused(bench: Bench, issuer: Any) -> None:
    assert await bench.refuses(bench.mint(iss=issuer)) == "issuer-unknown"


async def test_08_a_token_without_issuer_is_refused(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop=("iss",))) == "issuer-unknown"


async def _two_issuers(folder: Path, clock: SteppedClock) -> TokenVerifier:
    first = issuer_settings(jwks_file=write_jwks(folder / "first.json", rsa_key("first")))
    second = issuer_settings(
        issuer=OTHER_ISSUER,
        jwks_file=write_jwks(folder / "second.json", rsa_key("second")),
        default=False,
        group_prefix="other:",
    )
    verifier = TokenVerifier(identity_settings(first, second), NoFloors(), clock)
    await verifier.start()
    return verifier


@pytest.mark.parametrize("kid", ["first", "second"])
async def test_08_a_token_that_another_configured_issuer_signed_is_refused(tmp_path: Path, kid: str) -> None:
    """The second issuer is honest about everything but who it is."""
    clock = SteppedClock()
    verifier = await _two_issuers(tmp_path, clock)
    mint = TokenMint(key=rsa_key("second"), issuer=OTHER_ISSUER, now=clock.now)
    await verifier.verify((f"Bearer {mint()}",), request_context())
    rule = await refusal(verifier, f"Bearer {mint(iss=ISSUER, header={'kid': kid})}")
    assert rule == ("signature" if kid == "first" else "key-not-found")
    await verifier.close()


# 9. Expiry.


@pytest.mark.parametrize(
    ("expiry", "rule"),
    [
        (None, "claim-type"),
        ("9999999999", "claim-type"),
        (True, "claim-type"),
        ([1], "claim-type"),
        (1795513611.5, "claim-type"),
        (10**18, "token-age"),
        (10**19, "token-age"),
        (-1, "expired"),
        (0, "expired"),
    ],
    ids=json.dumps,
)
async def test_09_an_expiry_that_is_no_near_instant_is_refused(bench: Bench, expiry: Any, rule: str) -> None:
    assert await bench.refuses(bench.mint(exp=expiry)) == rule


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "1" * 21, "0.000000000000000000001"])
async def test_09_an_expiry_that_is_no_number_of_json_is_refused(bench: Bench, number: str) -> None:
    text = json.dumps(bench.mint.claims(exp="EXPIRY")).replace('"EXPIRY"', number)
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


async def test_09_a_token_without_expiry_is_refused(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop=("exp",))) == "claim-missing"


async def test_09_an_expiry_in_ten_years_is_refused(bench: Bench) -> None:
    claims = bench.mint.claims()
    assert await bench.refuses(bench.mint(exp=claims["iat"] + 10 * 365 * 86400)) == "token-age"


async def test_09_an_expired_token_is_refused_a_minute_late_and_not_earlier(bench: Bench) -> None:
    token = bench.mint()
    bench.clock.advance(bench.mint.lifetime + timedelta(seconds=59))
    await bench.accepts(token)
    bench.clock.advance(timedelta(seconds=1))
    assert await bench.refuses(token) == "expired"


# 10. The other instants.


async def test_10_a_token_from_the_future_is_refused(bench: Bench) -> None:
    now = bench.mint.claims()["iat"]
    await bench.accepts(bench.mint(iat=now + 60))
    assert await bench.refuses(bench.mint(iat=now + 61)) == "issued-in-future"


async def test_10_a_token_that_is_not_valid_yet_is_refused(bench: Bench) -> None:
    now = bench.mint.claims()["iat"]
    await bench.accepts(bench.mint(nbf=now + 60))
    assert await bench.refuses(bench.mint(nbf=now + 61)) == "not-yet-valid"
    assert await bench.refuses(bench.mint(nbf="0")) == "claim-type"
    assert await bench.refuses(bench.mint(nbf=None)) == "claim-type"


async def test_10_an_old_token_that_still_lives_is_refused(bench: Bench) -> None:
    now = bench.mint.claims()["iat"]
    assert await bench.refuses(bench.mint(iat=now - 365 * 86400)) == "token-age"
    assert await bench.refuses(bench.mint(iat=-(10**18))) == "token-age"
    assert await bench.refuses(bench.mint(iat=0)) == "token-age"


@pytest.mark.parametrize("issued", [None, "1", True, 1795513611.0])
async def test_10_an_issue_instant_that_is_no_integer_is_refused(bench: Bench, issued: Any) -> None:
    assert await bench.refuses(bench.mint(iat=issued)) == "claim-type"
    assert await bench.refuses(bench.mint(drop=("iat",))) == "claim-missing"


@pytest.mark.parametrize("identifier", ["", None, 7, ["a"], "a" * 257, "a\x00"])
async def test_10_an_identifier_that_is_no_name_is_refused(bench: Bench, identifier: Any) -> None:
    assert await bench.refuses(bench.mint(jti=identifier)) == "claim-type"
    await bench.accepts(bench.mint(drop=("jti",)))


async def test_10_a_token_that_ends_before_it_begins_is_refused(bench: Bench) -> None:
    now = bench.mint.claims()["iat"]
    assert await bench.refuses(bench.mint(iat=now + 30, exp=now + 30)) == "token-age"
    assert await bench.refuses(bench.mint(iat=now + 30, exp=now + 10)) == "token-age"


# 11. A member twice.


@pytest.mark.parametrize("name", ["alg", "kid", "typ", "x5t"])
@pytest.mark.parametrize("first", [True, False], ids=["good one first", "good one last"])
async def test_11_a_header_member_that_stands_twice_is_refused(bench: Bench, name: str, first: bool) -> None:
    header = bench.mint.header(x5t="dGh1bWI")
    good = json.dumps({name: header[name]})[1:-1]
    bad = json.dumps({name: "none"})[1:-1]
    rest = json.dumps({key: value for key, value in header.items() if key != name})[1:-1]
    text = "{" + ",".join((good, bad, rest) if first else (bad, good, rest)) + "}"
    assert await bench.refuses(bench.mint(header_text=text)) == "header-json"


@pytest.mark.parametrize("name", ["sub", "groups", "aud", "iss", "exp", "extra"])
@pytest.mark.parametrize("first", [True, False], ids=["good one first", "good one last"])
async def test_11_a_claim_that_stands_twice_is_refused(bench: Bench, name: str, first: bool) -> None:
    claims = bench.mint.claims(extra=1)
    good = json.dumps({name: claims[name]})[1:-1]
    bad = json.dumps({name: "admin"})[1:-1]
    rest = json.dumps({key: value for key, value in claims.items() if key != name})[1:-1]
    text = "{" + ",".join((good, bad, rest) if first else (bad, good, rest)) + "}"
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


async def test_11_an_escaped_spelling_of_a_member_is_the_same_member(bench: Bench) -> None:
    text = json.dumps(bench.mint.claims())[:-1] + ', "s\\u0075b": "admin"}'
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


async def test_11_a_member_that_stands_twice_deep_down_is_refused(bench: Bench) -> None:
    text = json.dumps(bench.mint.claims())[:-1] + ', "realm_access": {"roles": [], "roles": ["admin"]}}'
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


# 12. One token, many spellings.


def _respelled(token: str) -> dict[str, str]:
    header, payload, signature = token.split(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 256 bytes leave four unused bits in the last character, which a lenient decoder drops.
    unused = alphabet[alphabet.index(last) ^ 1]
    return {
        "padding": f"{header}.{payload}.{signature}==",
        "padding of the header": f"{header}=.{payload}.{signature}",
        "junk inside": f"{header}.{payload}.{signature[:9]}!{signature[9:]}",
        "line end inside": f"{header}.{payload}.{signature[:9]}\n{signature[9:]}",
        "line end at the end": f"{header}.{payload}.{signature}\n",
        "other alphabet": f"{header}.{payload}.{signature}".replace("-", "+").replace("_", "/"),
        "unused bits": f"{header}.{payload}.{signature[:-1]}{unused}",
        "space before": f" {header}.{payload}.{signature}",
        "space after": f"{header}.{payload}.{signature} ",
        "four segments": f"{header}.{payload}.{signature}.",
        "four full segments": f"{header}.{payload}.{signature}.{signature}",
        "two segments": f"{header}.{payload}",
        "empty header": f".{payload}.{signature}",
        "two tokens": f"{token}, Bearer {token}",
        "non-ASCII": f"{header}.{payload}.{signature}\u00e9",
        "full width letters": f"{header}.{payload}.\uff21{signature[1:]}",
    }


@pytest.mark.parametrize("spelling", list(_respelled("e30.e30.AAAA")))
@pytest.mark.parametrize("seen_before", [True, False], ids=["after the good spelling", "alone"])
async def test_12_another_spelling_of_a_good_token_is_refused(bench: Bench, spelling: str, seen_before: bool) -> None:
    # A signature with - and _ in it, so that the other alphabet is another spelling.
    token = next(t for t in (bench.mint() for _ in range(100)) if {"-", "_"} <= set(t.rpartition(".")[2]))
    respelled = _respelled(token)[spelling]
    assert respelled != token
    if seen_before:
        await bench.accepts(token)
    assert await bench.refuses(respelled) == "token-encoding"


# 13. Keys for something else.


@pytest.mark.parametrize(
    "jwk",
    [
        rsa_key("weak", bits=1024).public_jwk(),
        rsa_key("three", exponent=3).public_jwk(),
        rsa_key().public_jwk(kid="enc", use="enc"),
        rsa_key().public_jwk(kid="use", use=["sig"]),
        rsa_key().public_jwk(kid="ops", drop=("use",), key_ops=["encrypt"]),
        rsa_key().public_jwk(kid="no ops", drop=("use",), key_ops=[]),
        rsa_key().public_jwk(kid="ops text", drop=("use",), key_ops="verify"),
        rsa_key().public_jwk(kid="pss", alg="PS256"),
        rsa_key().public_jwk(kid="oaep", alg="RSA-OAEP"),
        rsa_key().public_jwk(kid="hmac", alg="HS256"),
        rsa_key().public_jwk(kid="private", d="AQAB"),
        rsa_key().public_jwk(kid="no e", drop=("e",)),
        rsa_key().public_jwk(kid="even e", e=base64url((65538).to_bytes(3, "big"))),
        rsa_key().public_jwk(kid="huge e", e=base64url(b"\x01" + b"\x00" * 8 + b"\x01")),
        {"kid": "oct", "kty": "oct", "k": "AAAA", "alg": "HS256"},
        {"kid": "okp", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ],
    ids=lambda jwk: jwk["kid"],
)
async def test_13_a_key_for_something_else_verifies_nothing_and_spares_the_others(
    tmp_path: Path, jwk: dict[str, Any]
) -> None:
    keys = {"weak": rsa_key("weak", bits=1024), "three": rsa_key("three", exponent=3)}
    async with verifying(tmp_path, jwk, rsa_key()) as bench:
        token = bench.mint(header={"kid": jwk["kid"]}, key=keys.get(jwk["kid"], rsa_key()))
        assert await bench.refuses(token) == "key-unusable"
        await bench.accepts(bench.mint())


async def test_13_an_algorithm_that_the_key_does_not_declare_is_refused(tmp_path: Path) -> None:
    async with verifying(tmp_path, rsa_key(), algorithms=frozenset({"RS256", "RS512"})) as bench:
        token = bench.mint(header={"alg": "RS512"}, algorithm="RS512")
        assert await bench.refuses(token) == "key-unfit"


async def test_13_a_key_that_declares_no_algorithm_serves_each_of_its_type(tmp_path: Path) -> None:
    key = rsa_key().public_jwk(drop=("alg", "use"))
    async with verifying(tmp_path, key, algorithms=frozenset({"RS256", "RS512"})) as bench:
        await bench.accepts(bench.mint(header={"alg": "RS512"}, algorithm="RS512"))
        assert await bench.refuses(bench.mint(header={"alg": "RS384"}, algorithm="RS384")) == "algorithm"


async def test_13_an_elliptic_key_under_an_rsa_algorithm_is_refused(tmp_path: Path) -> None:
    async with verifying(tmp_path, ec_key(), rsa_key()) as bench:
        assert await bench.refuses(bench.mint(header={"kid": "ec-1"})) == "key-unfit"
        assert await bench.refuses(bench.mint(header={"alg": "ES256"})) == "key-unfit"
        await bench.accepts(bench.mint())


async def test_13_a_curve_that_is_not_that_of_the_algorithm_is_refused(tmp_path: Path) -> None:
    p384 = ec_key("p384", algorithm="ES384")
    algorithms = frozenset({"ES256", "ES384"})
    declared_not = p384.public_jwk(drop=("alg",))
    declared_wrong = p384.public_jwk(kid="wrong", alg="ES256")
    async with verifying(
        tmp_path, declared_not, declared_wrong, mint=TokenMint(key=p384), algorithms=algorithms
    ) as bench:
        await bench.accepts(bench.mint())
        assert await bench.refuses(bench.mint(header={"alg": "ES256"}, algorithm="ES256")) == "key-unfit"
        assert (
            await bench.refuses(bench.mint(header={"kid": "wrong", "alg": "ES256"}, algorithm="ES256"))
            == "key-unusable"
        )


async def test_13_a_retired_key_verifies_nothing_after_the_refresh(tmp_path: Path) -> None:
    old, new = rsa_key("old"), rsa_key("new")
    async with verifying(tmp_path, old, new, mint=TokenMint(key=old)) as bench:
        token = bench.mint()
        await bench.accepts(token)
        bench.publish(new)
        assert await bench.refuses(token) == "key-not-found"
        await bench.accepts(bench.mint(header={"kid": "new"}, key=new))


# 14. Exhaustion.


@pytest.mark.parametrize(
    ("token", "rule"),
    [
        ("A" * 1_000_000, "token-size"),
        ("." * 1_000_000, "token-size"),
        (f"{'A' * 8193}", "token-size"),
        (f"e30.{'A' * 8180}.AAAA", "algorithm"),
    ],
    ids=["1 MB", "1 MB of dots", "one character too long", "just short enough"],
)
async def test_14_a_token_over_eight_kibibytes_is_refused(bench: Bench, token: str, rule: str) -> None:
    assert await bench.refuses(token) == rule


@pytest.mark.parametrize("opening", ["[", '{"a":', '["', '{"', '"', "[[[[\\"])
async def test_14_deep_or_broken_nesting_is_refused_in_no_time(bench: Bench, opening: str) -> None:
    text = '{"iss": ' + opening * (5800 // len(opening))
    token = f"{base64url(json.dumps(bench.mint.header()).encode())}.{base64url(text.encode())}.AAAA"
    started = time.process_time()
    assert await bench.refuses(token) == "payload-json"
    assert time.process_time() - started < 0.5
    header = base64url(('{"alg": ' + opening * (5800 // len(opening))).encode())
    assert await bench.refuses(f"{header}.e30.AAAA") == "header-json"


async def test_14_seventeen_levels_are_too_deep_and_sixteen_are_not(bench: Bench) -> None:
    def nested(levels: int) -> str:
        return json.dumps(bench.mint.claims())[:-1] + ', "x": ' + "[" * levels + "]" * levels + "}"

    await bench.accepts(bench.mint(payload_text=nested(15)))
    assert await bench.refuses(bench.mint(payload_text=nested(16))) == "payload-json"


async def test_14_brackets_in_strings_are_not_nesting(bench: Bench) -> None:
    await bench.accepts(bench.mint(note='[[[[[[[[[[[[[[[[[[[[{{{{{{{"{{{{\\"'))


@pytest.mark.parametrize("number", ["9" * 4000, "-" + "9" * 21, "1." + "0" * 21, "1e" + "0" * 30])
async def test_14_a_number_of_many_digits_is_refused_wherever_it_stands(bench: Bench, number: str) -> None:
    text = json.dumps(bench.mint.claims())[:-1] + f', "x": [{{"y": {number}}}]}}'
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


async def test_14_more_than_a_thousand_groups_are_refused(bench: Bench) -> None:
    assert len((await bench.accepts(bench.mint(groups=[f"{i:x}" for i in range(800)]))).groups) == 800
    assert await bench.refuses(bench.mint(groups=["a"] * 1001)) == "groups"


# 15. Somebody else.


@pytest.mark.parametrize(
    "subject",
    [
        "",
        None,
        1,
        True,
        ["alice"],
        {"sub": "alice"},
        "a" * 257,
        "alice\x00",
        "\x00",
        "alice\n",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "\u202eecila",
        "\u2066alice\u2069",
    ],
    ids=json.dumps,
)
async def test_15_a_subject_that_is_no_plain_name_is_refused(bench: Bench, subject: Any) -> None:
    assert await bench.refuses(bench.mint(sub=subject)) == "subject"


async def test_15_a_token_without_subject_is_refused(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(drop=("sub",))) == "claim-missing"


@pytest.mark.parametrize("subject", ['"\\ud800"', '"alice\\udfff"'])
async def test_15_a_subject_that_cannot_be_encoded_is_refused(bench: Bench, subject: str) -> None:
    text = json.dumps(bench.mint.claims("SUBJECT")).replace('"SUBJECT"', subject)
    assert await bench.refuses(bench.mint(payload_text=text)) == "payload-json"


async def test_15_subjects_that_look_alike_are_different_people(bench: Bench) -> None:
    """Latin, Cyrillic a, composed and decomposed, with a space, in capitals: nothing is folded into another."""
    subjects = [
        "alice",
        "\u0430lice",
        "Alice",
        "alice ",
        " alice",
        "al\u00efce",
        "ali\u0308ce",
        "\uff41lice",
        "a\u200blice",
    ]
    principals = [await bench.accepts(bench.mint(subject)) for subject in subjects]
    assert [principal.subject for principal in principals] == subjects
    assert len({principal.subject_digest() for principal in principals}) == len(subjects)


async def test_15_one_subject_of_two_issuers_is_two_people_with_different_groups(tmp_path: Path) -> None:
    clock = SteppedClock()
    verifier = await _two_issuers(tmp_path, clock)
    mints = [
        TokenMint(key=rsa_key("first"), now=clock.now),
        TokenMint(key=rsa_key("second"), issuer=OTHER_ISSUER, now=clock.now),
    ]
    first, second = [
        await verifier.verify((f"Bearer {mint('alice', groups=['admins'])}",), request_context()) for mint in mints
    ]
    assert first.subject == second.subject
    assert first.subject_digest() != second.subject_digest()
    assert first.groups.isdisjoint(second.groups)
    await verifier.close()


@pytest.mark.parametrize(
    "groups",
    [
        "admins",
        None,
        {"admins": True},
        1,
        ["admins", 1],
        ["admins", None],
        [["admins"]],
        [""],
        ["a\x00"],
        ["a" * 257],
        ["a\u202eb"],
    ],
    ids=json.dumps,
)
async def test_15_groups_that_are_no_list_of_names_are_refused(bench: Bench, groups: Any) -> None:
    assert await bench.refuses(bench.mint(groups=groups)) == "groups"


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://attacker.test/groups"}}},
        {"_claim_names": 7},
        {"hasgroups": True},
        {},
    ],
    ids=["pointer", "broken pointer", "hasgroups", "absent"],
)
async def test_15_groups_that_are_elsewhere_are_no_groups(bench: Bench, overage: dict[str, Any]) -> None:
    principal = await bench.accepts(bench.mint(drop=("groups",), **overage))
    assert principal.groups == frozenset()
    assert not principal.groups_complete


async def test_15_a_cut_list_gives_what_it_lists_and_says_that_it_was_cut(bench: Bench) -> None:
    principal = await bench.accepts(bench.mint(groups=["analysts"], hasgroups=True))
    assert principal.groups == frozenset({Group(issuer=ISSUER, name="analysts")})
    assert not principal.groups_complete
    assert (await bench.accepts(bench.mint(groups=[]))).groups_complete


@pytest.mark.parametrize(
    ("claims", "drop"),
    [
        ({"client_id": "other"}, ()),
        ({"azp": "other"}, ("client_id",)),
        ({}, ("client_id",)),
        ({"azp": "other"}, ()),
        ({"client_id": ""}, ()),
        ({"client_id": None}, ()),
        ({"client_id": [CLIENT_ID]}, ()),
        ({"azp": 1}, ()),
        ({"azp": ""}, ()),
    ],
    ids=str,
)
async def test_15_a_token_of_another_client_is_refused(
    tmp_path: Path, claims: dict[str, Any], drop: tuple[str, ...]
) -> None:
    async with verifying(tmp_path, allowed_clients=frozenset({CLIENT_ID})) as bench:
        assert await bench.refuses(bench.mint(drop=drop, **claims)) == "client"
        await bench.accepts(bench.mint(azp=CLIENT_ID))


async def test_15_two_names_of_a_client_that_differ_are_refused_where_any_is_allowed(bench: Bench) -> None:
    assert await bench.refuses(bench.mint(azp="other")) == "client"
    assert (await bench.accepts(bench.mint(drop=("client_id",)))).client_id is None


# Bound tokens.

CERTIFICATE = b"the DER bytes of a certificate"
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(CERTIFICATE).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "confirmation",
    [
        {"jkt": THUMBPRINT},
        {"jkt": THUMBPRINT, "x5t#S256": THUMBPRINT},
        {"x5t#S256": THUMBPRINT, "jwk": {}},
        {"x5t#S256": ""},
        {"x5t#S256": None},
        {"x5t#S256": [THUMBPRINT]},
        {"x5t#S256": THUMBPRINT + "="},
        {"x5t#S256": THUMBPRINT.lower()},
        {"x5t#S256": "\u00e9"},
        {"kid": "1"},
        {},
        None,
        THUMBPRINT,
    ],
    ids=json.dumps,
)
async def test_a_token_that_is_bound_in_another_way_is_refused(bench: Bench, confirmation: Any) -> None:
    assert await bench.refuses(bench.mint(cnf=confirmation), certificate=CERTIFICATE) == "proof-of-possession"


async def test_a_token_that_is_bound_to_a_certificate_needs_that_certificate_every_time(bench: Bench) -> None:
    token = bench.mint(cnf={"x5t#S256": THUMBPRINT})
    assert await bench.refuses(token) == "proof-of-possession"
    assert await bench.refuses(token, certificate=b"another") == "proof-of-possession"
    await bench.accepts(token, certificate=CERTIFICATE)
    assert await bench.refuses(token) == "proof-of-possession"
    assert await bench.refuses(token, certificate=b"another") == "proof-of-possession"


# The header of the request.


async def test_no_authorization_two_of_them_or_another_scheme_are_refused(bench: Bench) -> None:
    token = bench.mint()
    assert await refusal(bench.verifier) == "authorization-missing"
    assert await refusal(bench.verifier, f"Bearer {token}", f"Bearer {token}") == "authorization-repeated"
    assert await refusal(bench.verifier, f"Bearer {token}", "") == "authorization-repeated"
    for value in ("", "Bearer", token, f"Basic {token}", f"DPoP {token}", f"Token {token}", f"Bearer\t{token}"):
        assert await refusal(bench.verifier, value) in {"authorization-scheme", "token-encoding"}
    assert await refusal(bench.verifier, f"Bearer  {token}") == "token-encoding"
    await bench.verifier.verify((f"bearer {token}",), request_context())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "7", "{", "{}x", '{"alg": "RS256",}', "\ufeff{}", "{'alg': 1}", '{"a": "\n"}'],
    ids=json.dumps,
)
async def test_json_that_is_no_object_is_refused(bench: Bench, text: str) -> None:
    header = base64url(json.dumps(bench.mint.header()).encode())
    rule = await bench.refuses(f"{header}.{base64url(text.encode())}.AAAA")
    assert rule == ("payload-json" if text else "token-encoding")
    rule = await bench.refuses(f"{base64url(text.encode())}.e30.AAAA")
    assert rule == ("header-json" if text else "token-encoding")


async def test_json_in_another_encoding_is_refused(bench: Bench) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        token = compact(
            json.dumps(bench.mint.header()), json.dumps(bench.mint.claims("\u00e9")).encode(encoding), rsa_key()
        )
        assert await bench.refuses(token) == "payload-json"
    latin = json.dumps(bench.mint.claims("\u00e9"), ensure_ascii=False).encode("latin-1")
    assert await bench.refuses(compact(json.dumps(bench.mint.header()), latin, rsa_key())) == "payload-json"

"""PyJWT as a one-sided oracle: whatever we accept, PyJWT accepts under the same key, and reads alike.

The other direction does not hold and is not wanted: PyJWT takes members twice, padding, any `typ`, any age.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from penstock_server.errors import Unauthenticated
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.clock import SystemClock
from penstock_server.model.principal import Principal
from support.tokens import (
    AUDIENCE,
    ISSUER,
    NoFloors,
    SigningKey,
    TokenMint,
    compact,
    ec_key,
    identity_settings,
    issuer_settings,
    request_context,
    rsa_key,
    write_jwks,
)

ALGORITHMS = ("RS256", "RS512", "ES256", "ES384")
KEYS = {
    key.kid: key
    for key in (rsa_key(), rsa_key("rsa-2", algorithm="RS512"), ec_key(), ec_key("ec-2", algorithm="ES384"))
}
NOW = int(datetime.now(UTC).timestamp())

INSTANTS = st.sampled_from([NOW, NOW - 30, NOW + 30, NOW + 300, NOW - 300, NOW + 3600, NOW + 10**7, 0, -1, 10**18])
ODD = st.sampled_from([None, True, False, "", "1", 1.5, [], {}, [1], {"a": 1}, "\u0000", "\u00e9", 10**19, -1])
NAMES = st.sampled_from(["alice", "bob", "Alice", "a" * 256, "a" * 257, "\u0430lice", "al\u00efce", "a b"])
CLAIMS: dict[str, st.SearchStrategy[Any]] = {
    "iss": st.sampled_from([ISSUER, f"{ISSUER}/", [ISSUER]]) | ODD,
    "sub": NAMES | ODD,
    "aud": st.sampled_from([AUDIENCE, [AUDIENCE], [AUDIENCE, "b"], ["b"], "b", f"{AUDIENCE}/", [AUDIENCE, 1]]) | ODD,
    "exp": INSTANTS | ODD,
    "iat": INSTANTS | ODD,
    "nbf": INSTANTS | ODD,
    "jti": NAMES | ODD,
    "client_id": NAMES | ODD,
    "azp": NAMES | ODD,
    "groups": st.lists(NAMES, max_size=3) | ODD,
    "preferred_username": NAMES | ODD,
    "scope": st.sampled_from(["query", ""]) | ODD,
    "cnf": ODD,
    "nonce": NAMES,
    "typ": st.just("Bearer") | ODD,
    "token_use": st.just("access") | ODD,
    "roles": st.lists(NAMES, max_size=2) | ODD,
    "amr": st.lists(NAMES, max_size=2) | ODD,
    "hd": st.just("acme.test") | ODD,
    "dept": st.lists(NAMES, max_size=2) | NAMES | ODD,
    "email": NAMES | ODD,
    "email_verified": ODD,
    "_claim_names": ODD,
    "hasgroups": ODD,
}
HEADER: dict[str, st.SearchStrategy[Any]] = {
    "alg": st.sampled_from([*ALGORITHMS, "none", "HS256", "PS256", "ES512", "rs256"]) | ODD,
    "kid": st.sampled_from([*KEYS, "nobody", "RSA-1"]) | ODD,
    "typ": st.sampled_from(["at+jwt", "JWT", "application/at+jwt", "AT+JWT"]) | ODD,
    "crit": st.sampled_from([["exp"], ["b64"], []]),
    "b64": st.booleans(),
    "x5t": st.just("dGh1bWI"),
    "jwk": st.just(rsa_key().public_jwk()),
}


REPEATED = st.sampled_from(["sub", "aud", "groups", "exp", "extra"])
JUNK = st.sampled_from(["", "=", ".", "A", "-", "+", " ", "\n", "\u00e9"])
MUTATIONS = st.sampled_from(
    ["header", "claim", "claim", "claim", "drop header", "drop claim", "twice", "signer", "spelling"]
)


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """A good token with no, one or two things changed: one with ten would tell nothing."""
    signer: SigningKey = draw(st.sampled_from(list(KEYS.values())))
    mint = TokenMint(key=signer)
    header, claims = mint.header(), mint.claims()
    repeated, spelling = "", None
    for mutation in draw(st.lists(MUTATIONS, max_size=2)):
        match mutation:
            case "header":
                name = draw(st.sampled_from(sorted(HEADER)))
                header[name] = draw(HEADER[name])
            case "claim":
                name = draw(st.sampled_from(sorted(CLAIMS)))
                claims[name] = draw(CLAIMS[name])
            case "drop header":
                header.pop(draw(st.sampled_from(["alg", "kid", "typ"])), None)
            case "drop claim":
                claims.pop(draw(st.sampled_from(sorted(CLAIMS))), None)
            case "twice":
                repeated = json.dumps({draw(REPEATED): "admin"})[1:-1] + ", "
            case "signer":
                signer = draw(st.sampled_from(list(KEYS.values())))
            case _:
                spelling = (draw(st.floats(0, 1)), draw(JUNK), draw(st.booleans()))
    token = compact(json.dumps(header), "{" + repeated + json.dumps(claims)[1:], signer)
    if spelling is None:
        return token
    where, junk, replace = spelling
    position = int(where * len(token))
    return token[:position] + junk + token[position + replace :]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(
    scope="module", params=[("preferred_username", "at+jwt"), ("email", "at+jwt", "jwt", "")], ids=["typed", "untyped"]
)
def verifier(
    request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenVerifier]:
    path: Path = write_jwks(tmp_path_factory.mktemp("keys") / "jwks.json", *KEYS.values())
    username_claim, *token_types = request.param
    issuer = issuer_settings(
        jwks_file=path,
        algorithms=frozenset(ALGORITHMS),
        token_types=frozenset(token_types),
        username_claim=username_claim,
        attribute_claims=(("department", "dept"),),
    )
    running = TokenVerifier(identity_settings(issuer), NoFloors(), SystemClock())
    runner.run(running.start())
    yield running
    runner.run(running.close())


def _ours(runner: asyncio.Runner, verifier: TokenVerifier, token: str) -> Principal | None:
    try:
        return runner.run(verifier.verify((f"Bearer {token}",), request_context()))
    except Unauthenticated:
        return None


def _oracle(token: str) -> dict[str, Any]:
    """What PyJWT reads, under the one key that the header names, with every check that it has."""
    kid = jwt.get_unverified_header(token)["kid"]
    decoded: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(KEYS[kid].public_jwk()),
        algorithms=list(ALGORITHMS),
        audience=AUDIENCE,
        issuer=ISSUER,
        leeway=61,
        options={"require": ["iss", "aud", "exp", "iat", "sub"]},
    )
    return decoded


def test_whatever_we_accept_pyjwt_accepts_and_reads_alike(runner: asyncio.Runner, verifier: TokenVerifier) -> None:
    outcomes: Counter[bool] = Counter()

    @settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(tokens())
    def accepted_by_both(token: str) -> None:
        principal = _ours(runner, verifier, token)
        outcomes[principal is not None] += 1
        if principal is None:
            return
        read = _oracle(token)
        assert (principal.issuer, principal.subject) == (read["iss"], read["sub"])
        assert {group.name for group in principal.groups} == set(read.get("groups", ()))
        assert int(principal.expires_at.timestamp()) == read["exp"]
        assert principal.username in (read.get("preferred_username"), read.get("email"))

    accepted_by_both()
    # Not vacuous: both answers were given often.
    assert outcomes[True] >= 50
    assert outcomes[False] >= 100

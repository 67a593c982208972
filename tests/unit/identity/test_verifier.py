from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jose.backends
import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.identity.refusal import Rule
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.principal import Group
from support.tokens import (
    ISSUER,
    NoFloors,
    SteppedClock,
    TokenMint,
    ec_key,
    identity_settings,
    issuer_settings,
    request_context,
    rsa_key,
    write_jwks,
)
from support.verifying import verifying


@dataclass(slots=True)
class Floors:
    """Floors that a test raises."""

    raised: dict[tuple[str, str], int] = field(default_factory=dict)

    def floor(self, issuer: str, subject: str) -> int | None:
        return self.raised.get((issuer, subject))


async def test_a_principal_is_what_the_token_says_and_nothing_else(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "username_claim": "upn",
        "groups_claim": ("realm_access", "roles"),
        "attribute_claims": (("department", "dept"), ("country", "https://acme.test/country"), ("absent", "no")),
    }
    claims: dict[str, Any] = {
        "upn": "Anne O'Brien \U0001f600",
        "realm_access": {"roles": ["analysts", "eu"]},
        "dept": "finance",
        "https://acme.test/country": ["DE", "FR"],
        "amr": ["pwd", "otp"],
        "unknown": {"deep": [1]},
    }
    async with verifying(tmp_path, **settings) as bench:
        principal = await bench.accepts(bench.mint("subject-1", groups=["ignored"], **claims))
    assert (principal.issuer, principal.subject, principal.username) == (ISSUER, "subject-1", "Anne O'Brien \U0001f600")
    assert principal.groups == {Group(issuer=ISSUER, name="analysts"), Group(issuer=ISSUER, name="eu")}
    assert principal.groups_complete
    assert principal.attributes == (("country", ("DE", "FR")), ("department", ("finance",)))
    assert (principal.client_id, principal.authentication_methods) == ("penstock-cli", ("pwd", "otp"))
    assert principal.issued_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert principal.expires_at == datetime(2026, 11, 24, 9, 10, tzinfo=UTC)


async def test_a_token_without_username_has_none(tmp_path: Path) -> None:
    async with verifying(tmp_path) as bench:
        assert (await bench.accepts(bench.mint(drop=("preferred_username",)))).username is None


@pytest.mark.parametrize("username", ["", None, 7, ["alice"], "a" * 257, "a\x00", "a\nb", "a\u202eb", "a\u2029"])
async def test_a_malformed_username_is_refused_and_not_taken_for_an_absent_one(tmp_path: Path, username: Any) -> None:
    async with verifying(tmp_path) as bench:
        assert await bench.refuses(bench.mint(preferred_username=username)) == Rule.USERNAME


@pytest.mark.parametrize("verified", [False, "false", None, 0, "", [], {}, ["true"], "yes"])
async def test_an_address_that_nobody_verified_is_no_username(tmp_path: Path, verified: Any) -> None:
    async with verifying(tmp_path, username_claim="email") as bench:
        assert await bench.refuses(bench.mint(email="alice@corp.test", email_verified=verified)) == Rule.USERNAME
        for confirmed in ({"email_verified": True}, {"email_verified": "true"}, {}):
            token = bench.mint(email="alice@corp.test", **confirmed)
            assert (await bench.accepts(token)).username == "alice@corp.test"
        await bench.accepts(bench.mint(email_verified=False))


@pytest.mark.parametrize("value", [None, 7, True, "", {"a": 1}, ["a", 1], ["a\x00"], ["x"] * 101])
async def test_a_malformed_attribute_is_refused(tmp_path: Path, value: Any) -> None:
    async with verifying(tmp_path, attribute_claims=(("department", "dept"),)) as bench:
        assert await bench.refuses(bench.mint(dept=value)) == Rule.ATTRIBUTES


@pytest.mark.parametrize("value", ["pwd", None, [1], {"pwd": 1}])
async def test_malformed_authentication_methods_are_refused(tmp_path: Path, value: Any) -> None:
    async with verifying(tmp_path) as bench:
        assert await bench.refuses(bench.mint(amr=value)) == Rule.CLAIM_TYPE


async def test_required_claims_hold_exactly(tmp_path: Path) -> None:
    async with verifying(tmp_path, required_claims=(("hd", "acme.test"), ("tid", "t-1"))) as bench:
        await bench.accepts(bench.mint(hd="acme.test", tid="t-1"))
        for claims in ({}, {"hd": "acme.test"}, {"hd": "acme.test", "tid": ["t-1"]}, {"hd": "ACME.test", "tid": "t-1"}):
            assert await bench.refuses(bench.mint(**claims)) == Rule.REQUIRED_CLAIM


async def test_a_group_of_the_default_issuer_never_reads_like_one_of_another(tmp_path: Path) -> None:
    clock = SteppedClock()
    jwks_file = write_jwks(tmp_path / "jwks.json", rsa_key())
    default = issuer_settings(jwks_file=jwks_file)
    partner = issuer_settings(
        issuer="https://partner.test", jwks_file=jwks_file, default=False, group_prefix="partner:"
    )
    verifier = TokenVerifier(identity_settings(default, partner), NoFloors(), clock)
    await verifier.start()
    groups = ["partner:admins", "partner:", "partners", "admins"]
    tokens = [TokenMint(key=rsa_key(), issuer=name, now=clock.now)(groups=groups) for name in (ISSUER, partner.issuer)]
    ours, theirs = [await verifier.verify((f"Bearer {token}",), request_context()) for token in tokens]
    assert {group.name for group in ours.groups} == {"partners", "admins"}
    assert {group.name for group in theirs.groups} == set(groups)
    assert {group.issuer for group in theirs.groups} == {partner.issuer}
    await verifier.close()


async def test_a_groups_claim_that_leads_through_no_object_is_refused(tmp_path: Path) -> None:
    async with verifying(tmp_path, groups_claim=("realm", "roles")) as bench:
        assert await bench.refuses(bench.mint(realm=["roles"])) == Rule.GROUPS
        assert not (await bench.accepts(bench.mint(realm={}))).groups_complete


async def test_a_token_at_or_before_the_floor_is_refused_though_it_was_seen_before(tmp_path: Path) -> None:
    floors = Floors()
    async with verifying(tmp_path, floors=floors) as bench:
        token, other = bench.mint("alice"), bench.mint("bob")
        await bench.accepts(token)
        issued = int(bench.clock.now().timestamp())
        floors.raised[ISSUER, "alice"] = issued - 1
        await bench.accepts(token)
        floors.raised[ISSUER, "alice"] = issued
        assert await bench.refuses(token) == Rule.TOKEN_FLOOR
        await bench.accepts(other)
        bench.clock.advance(timedelta(seconds=1))
        await bench.accepts(bench.mint("alice"))


async def test_a_token_that_was_seen_before_is_refused_once_it_expires(tmp_path: Path) -> None:
    async with verifying(tmp_path) as bench:
        bench.clock.advance(timedelta(seconds=2))
        now = int(bench.clock.now().timestamp())
        token = bench.mint(iat=now - 30, exp=now - 20)
        await bench.accepts(token)
        bench.clock.advance(timedelta(seconds=39))
        await bench.accepts(token)
        bench.clock.advance(timedelta(seconds=1))
        assert await bench.refuses(token) == Rule.EXPIRED


async def test_a_token_that_was_seen_before_is_verified_anew_when_any_key_changes(tmp_path: Path) -> None:
    old, new = rsa_key("old"), rsa_key("new")
    async with verifying(tmp_path, old, mint=TokenMint(key=old)) as bench:
        token = bench.mint()
        await bench.accepts(token)
        # The same kid with another key: the issuer replaced it without renaming it.
        bench.publish(new.public_jwk(kid="old"))
        assert await bench.refuses(token) == Rule.SIGNATURE
        bench.publish(old)
        await bench.accepts(token)
        bench.publish()
        assert await bench.refuses(token) == Rule.KEY_NOT_FOUND
        assert not bench.verifier.ready()


async def test_tokens_of_either_key_type_are_accepted(tmp_path: Path) -> None:
    keys = [rsa_key(algorithm=f"RS{size}", kid=f"r{size}") for size in (256, 384, 512)]
    keys += [ec_key(algorithm=f"ES{size}", kid=f"e{size}") for size in (256, 384, 512)]
    allowed = frozenset(key.algorithm for key in keys)
    async with verifying(tmp_path, *keys, algorithms=allowed) as bench:
        for key in keys:
            await bench.accepts(bench.mint(header={"alg": key.algorithm, "kid": key.kid}, key=key))


async def test_an_algorithm_that_is_supported_but_not_configured_is_refused(tmp_path: Path) -> None:
    async with verifying(tmp_path, ec_key(), rsa_key(), algorithms=frozenset({"ES256"})) as bench:
        assert await bench.refuses(bench.mint()) == Rule.ALGORITHM


@pytest.mark.parametrize("algorithms", [{"PS256"}, {"RS256", "EdDSA"}, {"HS256"}, {"none"}, set()])
def test_an_issuer_whose_algorithms_cannot_be_verified_is_refused_at_start(
    algorithms: set[str], tmp_path: Path
) -> None:
    settings = issuer_settings(jwks_file=tmp_path / "x", algorithms=frozenset(algorithms))
    with pytest.raises(ConfigurationError, match="RS256, RS384, RS512, ES256, ES384 and ES512 can"):
        TokenVerifier(identity_settings(settings), NoFloors(), SteppedClock())


def test_no_issuer_or_one_twice_is_refused_at_start(tmp_path: Path) -> None:
    settings = issuer_settings(jwks_file=tmp_path / "x")
    with pytest.raises(ConfigurationError, match="no issuer is configured"):
        TokenVerifier(identity_settings(), NoFloors(), SteppedClock())
    with pytest.raises(ConfigurationError, match="is configured twice"):
        TokenVerifier(identity_settings(settings, settings), NoFloors(), SteppedClock())


@pytest.mark.parametrize("name", ["RSAKey", "ECKey"])
def test_another_backend_than_cryptography_is_refused_at_start(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(jose.backends, name, object)
    with pytest.raises(ConfigurationError, match=r"python-jose\[cryptography\]"):
        TokenVerifier(identity_settings(issuer_settings(jwks_file=tmp_path / "x")), NoFloors(), SteppedClock())


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "http://login.test"},
        {"issuer": "login.test"},
        {"issuer": "https://user:password@login.test"},
        {"issuer": "ftp://login.test"},
        {"issuer": "https://login.test/#x"},
        {"jwks_uri": "http://login.test/jwks"},
        {"jwks_uri": "https://login.test:port/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_an_address_that_may_not_be_fetched_is_refused_at_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        TokenVerifier(identity_settings(issuer_settings(**settings)), NoFloors(), SteppedClock())


def test_a_ca_file_without_certificates_is_refused_at_start(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", write_jwks(tmp_path / "not.pem", rsa_key())):
        with pytest.raises(ConfigurationError, match="`ca` is no readable PEM file"):
            TokenVerifier(identity_settings(issuer_settings(ca=path)), NoFloors(), SteppedClock())


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    with caplog.at_level(logging.DEBUG):
        yield caplog.records


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        ("", "not JSON"),
        ('{"keys": {}}', "no list `keys`"),
        ('{"keys": []}', "no key that may verify"),
        ('{"keys": [], "keys": []}', "a member stands twice"),
        ('{"keys": [' + ",".join(["{}"] * 257) + "]}", "more than 256 keys"),
        (
            '{"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}, 7]}',
            "`a`: it holds private or symmetric key material; `#1`: it is no object",
        ),
        (" " * (512 * 1024 + 1), "over 512 KiB"),
    ],
    ids=["missing", "empty", "no list", "no keys", "duplicate", "too many", "unusable", "too large"],
)
async def test_a_key_file_without_a_usable_key_stops_the_start(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    verifier = TokenVerifier(identity_settings(issuer_settings(jwks_file=path)), NoFloors(), SteppedClock())
    with pytest.raises(ConfigurationError, match=why):
        await verifier.start()
    assert not verifier.ready()
    await verifier.close()


async def test_a_key_file_that_breaks_later_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    async with verifying(tmp_path) as bench:
        bench.jwks_file.write_text("half a fi", encoding="utf-8")
        bench.clock.advance(timedelta(seconds=2))
        await bench.accepts(bench.mint())
        bench.jwks_file.unlink()
        bench.clock.advance(timedelta(seconds=2))
        await bench.accepts(bench.mint())
        assert bench.verifier.ready()


async def test_nothing_of_a_token_is_logged(tmp_path: Path, records: list[logging.LogRecord]) -> None:
    async with verifying(tmp_path) as bench:
        tokens = [bench.mint("secret-subject"), bench.mint("secret-subject", header={"kid": "secret-kid"})]
        await bench.accepts(tokens[0])
        await bench.refuses(tokens[1])
        bench.publish()
        await bench.refuses(tokens[0])
    text = "\n".join(record.getMessage() for record in records)
    assert not any(word in text for word in ("secret", "eyJ", *tokens))

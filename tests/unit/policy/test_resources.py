"""Grants on S3 objects, on the files of tables, and of Redshift logins."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from penstock_server.model.decision import Access, AwsDecision, AwsOutcome, Denied, RedshiftDecision, S3Scope
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location, S3Permission
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.resources import S3Request, decide_raw, decide_redshift, decide_s3
from penstock_server.policy.s3_arns import parse_granted_arn
from support.policies import NOW, bind_policy, name_of, principal, table

READ, LIST, WRITE = Access.READ, Access.LIST, Access.WRITE

POLICY = """\
version: 1
grants:
  - {name: read, principals: ["user:alice"], resource: "arn:aws:s3:::acme/finance/*", permissions: [READ], max_ttl: 1h}
  - {name: list, principals: ["group:staff"], resource: "arn:aws:s3:::acme/finance/*", permissions: [LIST], max_ttl: 30m}
  - {name: drop, principals: ["user:alice"], resource: "arn:aws:s3:::acme/drop/*", permissions: [WRITE, DELETE]}
  - {name: old, principals: ["user:alice"], resource: "arn:aws:s3:::acme/old/*", permissions: [READ, VERSIONS], expires: 2026-06-02T00:00:00Z}
  - {name: gone, principals: ["user:alice"], resource: "arn:aws:s3:::acme/*", permissions: [READ], expires: 2026-06-01T12:00:00Z}
  - {name: csv, principals: ["user:alice"], resource: "arn:aws:s3:::acme/reports/*.csv", permissions: [READ, LIST]}
  - {name: star, principals: ["user:alice"], resource: "arn:aws:s3:::acme/a${*}b/*", permissions: [READ]}
"""  # noqa: E501 - one grant a line


def request(key: str, *access: Access, bucket: str = "acme") -> S3Request:
    exact = not (key.endswith("/") or not key)
    return S3Request(location=S3Location(bucket=bucket, key=key), exact=exact, access=frozenset(access))


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(tmp_path, POLICY)


def ask(policy: BoundPolicy, *requests: S3Request, groups: tuple[str, ...] = ()) -> AwsOutcome:
    return decide_s3(policy, principal(groups=groups), requests, facts=RequestFacts.of_instant(NOW))


def scope(key: str, *permissions: S3Permission) -> S3Scope:
    return S3Scope(
        location=S3Location(bucket="acme", key=key), exact=not key.endswith("/"), permissions=frozenset(permissions)
    )


def test_read_needs_read_and_brings_what_else_is_granted_for_it(policy: BoundPolicy) -> None:
    assert ask(policy, request("finance/2026/", READ)) == AwsDecision(
        scopes=(scope("finance/2026/", S3Permission.READ),),
        grants=("read",),
        max_ttl=timedelta(hours=1),
        expires_at=None,
        policy_version=policy.version,
    )
    assert ask(policy, request("finance/2026/", READ), groups=("staff",)) == AwsDecision(
        scopes=(scope("finance/2026/", S3Permission.READ, S3Permission.LIST),),
        grants=("list", "read"),
        max_ttl=timedelta(minutes=30),
        expires_at=None,
        policy_version=policy.version,
    )


def test_reading_one_object_does_not_bring_listing(policy: BoundPolicy) -> None:
    outcome = ask(policy, request("finance/a.csv", READ), groups=("staff",))
    assert isinstance(outcome, AwsDecision)
    assert outcome.scopes == (scope("finance/a.csv", S3Permission.READ),)


def test_write_brings_no_read_and_delete_only_where_granted(policy: BoundPolicy) -> None:
    outcome = ask(policy, request("drop/", WRITE))
    assert isinstance(outcome, AwsDecision)
    assert outcome.scopes == (scope("drop/", S3Permission.WRITE, S3Permission.DELETE),)


def test_listing_brings_no_reading_of_versions(policy: BoundPolicy, tmp_path: Path) -> None:
    text = POLICY.replace("[READ, VERSIONS]", "[LIST, VERSIONS]")
    outcome = ask(bind_policy(tmp_path, text), request("old/", LIST))
    assert isinstance(outcome, AwsDecision)
    assert outcome.scopes == (scope("old/", S3Permission.LIST),)


def test_the_end_of_a_used_grant_ends_the_decision(policy: BoundPolicy) -> None:
    outcome = ask(policy, request("old/", READ), request("finance/", READ))
    assert isinstance(outcome, AwsDecision)
    assert outcome.expires_at == datetime(2026, 6, 2, tzinfo=UTC)
    assert outcome.max_ttl == timedelta(hours=1)
    assert outcome.grants == ("old", "read")
    assert outcome.scopes[0].permissions == {S3Permission.READ, S3Permission.VERSIONS}


DENIED = [
    (request("finance/", LIST),),
    (request("finance/", WRITE),),
    (request("finance/", READ, WRITE),),
    (request("finance/", READ), request("finance-secret/", READ)),
    (request("finance", READ),),
    (request("financ", READ),),
    (request("Finance/", READ),),
    (request("", READ),),
    (request("other/", READ),),
    (request("finance/", READ, bucket="acme2"),),
    (request("finance/", READ, bucket="no-such-bucket"),),
    (request("reports/", READ),),
    (request("reports/a.csv", LIST),),
    (request("reports/a.txt", READ),),
    (request("drop/", READ),),
    (request("axb/", READ),),
    (request("finance//../secret/", LIST),),
    (),
]


@pytest.mark.parametrize("requests", DENIED, ids=range(len(DENIED)))
def test_what_is_not_wholly_covered_is_denied_with_one_text(
    policy: BoundPolicy, requests: tuple[S3Request, ...]
) -> None:
    assert ask(policy, *requests) == Denied(
        reason="your grants do not cover all that is asked for",
        hint="ask for READ, LIST or WRITE on the prefix",
        policy_version=policy.version,
    )


@pytest.mark.parametrize("key", ["reports/a.csv", "reports/x/y.csv", "reports/.csv", "a*b/c", "finance/é", "finance/*"])
def test_what_is_covered_is_read(policy: BoundPolicy, key: str) -> None:
    assert isinstance(ask(policy, request(key, READ)), AwsDecision)


def test_the_longest_lasting_of_several_grants_is_used(tmp_path: Path) -> None:
    """Grants only add: a second, shorter grant of the same must not shorten what the first one gives."""
    text = """\
version: 1
grants:
  - {name: short, principals: [everyone], resource: "arn:aws:s3:::acme/*", permissions: [READ], max_ttl: 15m}
  - {name: ends, principals: [everyone], resource: "arn:aws:s3:::acme/x/*", permissions: [READ], expires: 2026-06-01T12:20:00Z}
  - {name: long, principals: [everyone], resource: "arn:aws:s3:::acme/x/*", permissions: [READ], max_ttl: 2h}
"""  # noqa: E501 - one grant a line
    policy = bind_policy(tmp_path, text)
    outcome = ask(policy, request("x/", READ))
    assert isinstance(outcome, AwsDecision)
    assert (outcome.grants, outcome.max_ttl, outcome.expires_at) == (("long",), timedelta(hours=2), None)


# --- patterns against an oracle ---------------------------------------------------------------------------------------
def matches(pattern: str, text: str) -> bool:
    """IAM wildcards, by their definition."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and matches(pattern[1:], text[1:])


CONTINUATIONS = ["".join(parts) for length in range(5) for parts in itertools.product("a/b", repeat=length)]


def test_covering_agrees_with_the_definition_of_wildcards() -> None:
    random = Random(7)
    covered = {True: 0, False: 0}
    for _ in range(1500):
        pattern = "".join(random.choice("a/*?*") for _ in range(random.randint(1, 6)))
        granted = parse_granted_arn(f"arn:aws:s3:::bucket/{pattern}")
        key = "".join(random.choice("a/b") for _ in range(random.randint(0, 4)))
        location = S3Location(bucket="bucket", key=key)
        assert granted.covers_object(location) is matches(pattern, key), (pattern, key)
        prefix = S3Location(bucket="bucket", key=key + "/")
        expected = all(matches(pattern, f"{key}/{rest}") for rest in CONTINUATIONS)
        assert granted.covers_prefix(prefix) is expected, (pattern, key)
        covered[expected] += 1
        assert not granted.covers_object(S3Location(bucket="other", key=key))
        assert not granted.covers_prefix(S3Location(bucket="other", key=key + "/"))
    assert min(covered.values()) > 100


@pytest.mark.parametrize(
    ("pattern", "key", "covered"),
    [
        ("a${*}b", "a*b", True),
        ("a${*}b", "axb", False),
        ("a${?}b", "a?b", True),
        ("a${?}b", "axb", False),
        ("a${$}b", "a$b", True),
        ("a$b", "a$b", True),
        ("a?b", "a\u00e9b", True),
        ("\u00e9", "e\u0301", False),
        ("a%2Fb", "a/b", False),
        ("a//b", "a/b", False),
        ("*", "anything/at/all", True),
        ("A", "a", False),
    ],
)
def test_characters_of_a_granted_key_stand_for_themselves(pattern: str, key: str, covered: bool) -> None:
    granted = parse_granted_arn(f"arn:aws:s3:::bucket/{pattern}")
    assert granted.covers_object(S3Location(bucket="bucket", key=key)) is covered


# --- files of a table -------------------------------------------------------------------------------------------------
TABLE = "version: 1\ngrants:\n  - {{name: g, principals: [everyone], resource: lake.db.t, permissions: [{0}]{1}}}\n"


@pytest.mark.parametrize(
    ("permissions", "location", "given"),
    [
        ("SELECT, RAW", "acme/lake/t/", True),
        ("DESCRIBE, RAW", "acme/lake/t/", True),
        ("SELECT", "acme/lake/t/", False),
        ("RAW", "acme/lake/t/", False),
        ("SELECT, RAW", None, False),
    ],
)
def test_the_files_of_a_table_need_raw_on_a_table_that_exists(
    tmp_path: Path, permissions: str, location: str | None, given: bool
) -> None:
    policy = bind_policy(tmp_path, TABLE.format(permissions, ""), table("lake.db.t", {"id": "INTEGER"}, location))
    outcome = decide_raw(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    missing = decide_raw(policy, principal(), name_of("lake.db.nope"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, AwsDecision) is given
    assert isinstance(missing, Denied)
    if given:
        assert outcome == AwsDecision(
            scopes=(scope("lake/t/", S3Permission.READ, S3Permission.LIST),),
            grants=("g",),
            max_ttl=None,
            expires_at=None,
            policy_version=policy.version,
        )
    else:
        assert outcome == missing


def test_a_table_of_one_file_is_that_object_and_all_below(tmp_path: Path) -> None:
    policy = bind_policy(
        tmp_path, TABLE.format("SELECT, RAW", ""), table("lake.db.t", {"id": "INTEGER"}, "acme/lake/t.parquet")
    )
    outcome = decide_raw(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, AwsDecision)
    assert outcome.scopes == (
        scope("lake/t.parquet", S3Permission.READ),
        scope("lake/t.parquet/", S3Permission.READ, S3Permission.LIST),
    )


def test_raw_ends_with_its_grant(tmp_path: Path) -> None:
    text = TABLE.format("SELECT, RAW", ", expires: 2026-06-01T13:00:00Z")
    policy = bind_policy(tmp_path, text, table("lake.db.t", {"id": "INTEGER"}, "acme/t/"))
    outcome = decide_raw(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, AwsDecision)
    assert outcome.expires_at == NOW + timedelta(hours=1)
    assert isinstance(
        decide_raw(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW + timedelta(hours=1))),
        Denied,
    )


# --- Redshift logins --------------------------------------------------------------------------------------------------
LOGINS = """\
version: 1
grants:
  - {name: bi, principals: ["group:staff"], resource: "redshift:analytics", permissions: [CONNECT], database_groups: [bi, ro], max_ttl: 1h}
  - {name: ml, principals: ["user:alice"], resource: "redshift:analytics", permissions: [CONNECT], database_groups: [ml], max_ttl: 15m}
  - {name: ro, principals: ["user:alice"], resource: "redshift:analytics", permissions: [CONNECT], database_groups: [ro], max_ttl: 20m}
  - {name: old, principals: ["user:bob"], resource: "redshift:analytics", permissions: [CONNECT], expires: 2026-06-01T12:00:00Z}
  - {name: eu, principals: ["user:bob"], resource: "redshift:europe", permissions: [CONNECT], expires: 2026-06-01T13:00:00Z}
"""  # noqa: E501 - one grant a line


@pytest.fixture
def logins(tmp_path: Path) -> BoundPolicy:
    return bind_policy(tmp_path, LOGINS, logins=["analytics", "europe"])


def test_groups_of_several_grants_add_up_and_the_shortest_that_adds_one_bounds_the_login(logins: BoundPolicy) -> None:
    assert decide_redshift(
        logins, principal(groups=["staff"]), "analytics", facts=RequestFacts.of_instant(NOW)
    ) == RedshiftDecision(
        login="analytics",
        database_groups=("bi", "ml", "ro"),
        grants=("bi", "ml"),
        max_ttl=timedelta(minutes=15),
        expires_at=None,
        policy_version=logins.version,
    )


def test_a_login_ends_with_its_grant(logins: BoundPolicy) -> None:
    outcome = decide_redshift(logins, principal("bob"), "europe", facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, RedshiftDecision)
    assert (outcome.database_groups, outcome.max_ttl, outcome.expires_at) == ((), None, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("who", "login"),
    [("bob", "analytics"), ("alice", "europe"), ("alice", "nope"), ("eve", "analytics"), ("bob", "EUROPE")],
)
def test_a_login_that_is_not_granted_and_one_that_does_not_exist_are_one_answer(
    logins: BoundPolicy, who: str, login: str
) -> None:
    assert decide_redshift(logins, principal(who), login, facts=RequestFacts.of_instant(NOW)) == Denied(
        reason="no grant of yours gives this Redshift login",
        hint="ask for the permission CONNECT on it",
        policy_version=logins.version,
    )


# --- denials ----------------------------------------------------------------------------------------------------------
DENIALS = """\
version: 1
grants:
  - {name: all, principals: [everyone], resource: "arn:aws:s3:::acme/*", permissions: [READ, LIST, WRITE, VERSIONS, DELETE]}
  - {name: log, principals: [everyone], resource: "redshift:analytics", permissions: [CONNECT]}
  - {name: raw, principals: [everyone], resource: lake.db.*, permissions: [SELECT, RAW]}
denials:
  - {resource: "arn:aws:s3:::acme/*/secret/*", except_principals: ["user:boss"], permissions: [READ]}
  - {resource: "arn:aws:s3:::acme/list/deep/x", permissions: [LIST]}
  - {resource: "arn:aws:s3:::acme/keep/*", permissions: [DELETE]}
  - {resource: "arn:aws:s3:::acme/fixed/*", permissions: [WRITE]}
  - {resource: "redshift:analytics", except_principals: ["user:boss"], permissions: [CONNECT]}
  - {resource: lake.db.described, permissions: [SELECT]}
  - {resource: lake.db.rawless, permissions: [RAW]}
"""  # noqa: E501 - one grant a line


@pytest.fixture
def denying(tmp_path: Path) -> BoundPolicy:
    tables = (
        table(f"lake.db.{name}", {"id": "INTEGER"}, f"{at}/")
        for name, at in (("open", "free/o"), ("described", "free/d"), ("rawless", "free/r"), ("secret", "acme/t"))
    )
    return bind_policy(tmp_path, DENIALS, *tables, logins=["analytics", "europe"])


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        # A prefix under which any denied key may lie is denied as a whole, however deep it lies.
        (request("a/secret/x", READ), None),
        (request("a/secret/", READ), None),
        (request("a/", READ), None),
        (request("", READ), None),
        (request("a/plain", READ), {S3Permission.READ, S3Permission.VERSIONS}),
        (request("a/secret/x", WRITE), {S3Permission.WRITE, S3Permission.DELETE}),
        (request("secret/x", READ), {S3Permission.READ, S3Permission.VERSIONS}),
        (request("list/", LIST), None),
        (request("list/deep/", LIST), None),
        (request("list/deeper/", LIST), {S3Permission.LIST}),
        (request("keep/", WRITE), {S3Permission.WRITE}),
        (request("kept/", WRITE), {S3Permission.WRITE, S3Permission.DELETE}),
        (request("fixed/x", WRITE), None),
    ],
    ids=lambda value: f"{value.location.key} {sorted(value.access)}" if isinstance(value, S3Request) else "",
)
def test_what_overlaps_a_denial_is_not_given(
    denying: BoundPolicy, asked: S3Request, given: set[S3Permission] | None
) -> None:
    outcome = ask(denying, asked)
    if given is None:
        assert isinstance(outcome, Denied)
    else:
        assert isinstance(outcome, AwsDecision)
        assert outcome.scopes == (S3Scope(location=asked.location, exact=asked.exact, permissions=frozenset(given)),)


def test_a_denial_on_objects_spares_whom_it_names(denying: BoundPolicy) -> None:
    assert isinstance(
        decide_s3(denying, principal("boss"), (request("a/secret/", READ),), facts=RequestFacts.of_instant(NOW)),
        AwsDecision,
    )


@pytest.mark.parametrize(
    ("name", "given"), [("open", True), ("described", False), ("rawless", False), ("secret", False)]
)
def test_files_of_a_table_are_kept_by_a_denial_on_it_or_on_its_objects(
    denying: BoundPolicy, name: str, given: bool
) -> None:
    outcome = decide_raw(denying, principal(), name_of(f"lake.db.{name}"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, AwsDecision) is given


def test_a_denied_login_looks_like_one_that_is_not_granted(denying: BoundPolicy) -> None:
    denied = decide_redshift(denying, principal("alice"), "analytics", facts=RequestFacts.of_instant(NOW))
    assert denied == decide_redshift(denying, principal("alice"), "europe", facts=RequestFacts.of_instant(NOW))
    assert isinstance(denied, Denied)
    assert isinstance(
        decide_redshift(denying, principal("boss"), "analytics", facts=RequestFacts.of_instant(NOW)), RedshiftDecision
    )


def test_a_pattern_overlaps_a_prefix_exactly_where_some_longer_key_matches_it() -> None:
    random = Random("overlaps")
    seen = set()
    for _ in range(2_000):
        pattern = parse_granted_arn("arn:aws:s3:::acme/" + "".join(random.choices("ab*?", k=random.randint(1, 4))))
        prefix = "".join(random.choices("ab", k=random.randint(0, 3)))
        tails = ("".join(tail) for size in range(5) for tail in itertools.product("ab", repeat=size))
        expected = any(pattern.covers_object(S3Location(bucket="acme", key=prefix + tail)) for tail in tails)
        assert pattern.overlaps(S3Location(bucket="acme", key=prefix), exact=False) is expected, (pattern.text, prefix)
        seen.add(expected)
    assert seen == {True, False}

"""Names, lists and fingerprints of decisions; what is hidden looks like what does not exist."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from penstock_server.errors import PenstockError, QueryError, Reason
from penstock_server.model.decision import TableDecision, TableDescribed, TableHidden
from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.principal import EveryoneOf, Group, UserByName, UserBySubject, selects
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy, selectors_of
from penstock_server.policy.encoding import encode_predicate
from penstock_server.policy.evaluation import (
    decide,
    resolve,
    table_not_found,
    table_not_readable,
    visible_tables,
)
from support.policies import ISSUER, NOW, OTHER_ISSUER, bind_policy, name_of, principal, table

POLICY = """\
version: 1
grants:
  - {name: all, principals: ["user:alice"], resource: lake.*, permissions: [SELECT]}
  - {name: shop, principals: ["user:alice", "user:bob"], resource: shop.db.t, permissions: [SELECT]}
  - {name: know, principals: ["user:bob"], resource: lake.db.u, permissions: [DESCRIBE]}
  - {name: raw, principals: ["user:bob"], resource: lake.db.v, permissions: [RAW]}
"""


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    names = ("lake.db.t", "lake.db.u", "lake.db.v", "lake.other.t", "lake.other.w", "shop.db.t")
    return bind_policy(tmp_path, POLICY, *(table(name, {"id": "INTEGER"}) for name in names))


def found(policy: BoundPolicy, who: str, *parts: str, default: str | None = None) -> str | None:
    outcome = resolve(policy, principal(who), parts, default_catalog=default, facts=RequestFacts.of_instant(NOW))
    if isinstance(outcome, TableDecision):
        return str(outcome.table.name)
    return str(outcome.schema.name) if isinstance(outcome, TableDescribed) else None


@pytest.mark.parametrize(
    ("who", "parts", "default", "expected"),
    [
        ("alice", ("lake", "db", "t"), None, "lake.db.t"),
        ("alice", ("LAKE", "Db", "T"), None, "lake.db.t"),
        ("alice", ("lake", "db", "t"), "shop", "lake.db.t"),
        ("alice", ("db", "u"), None, "lake.db.u"),
        ("alice", ("db", "t"), "SHOP", "shop.db.t"),
        ("alice", ("db", "u"), "shop", None),
        ("alice", ("w",), None, "lake.other.w"),
        ("alice", ("w",), "shop", None),
        ("alice", ("db", "nope"), None, None),
        ("alice", ("nope", "db", "t"), None, None),
        ("alice", ("a", "lake", "db", "t"), None, None),
        ("alice", (), None, None),
        ("alice", ("lake", "db", ""), None, None),
        ("bob", ("db", "t"), None, "shop.db.t"),
        ("bob", ("db", "u"), None, "lake.db.u"),
        ("bob", ("db", "v"), None, None),
        ("bob", ("lake", "db", "t"), None, None),
        ("eve", ("lake", "db", "t"), None, None),
    ],
)
def test_a_name_means_the_one_table_that_exists_for_the_caller(
    policy: BoundPolicy, who: str, parts: tuple[str, ...], default: str | None, expected: str | None
) -> None:
    assert found(policy, who, *parts, default=default) == expected


@pytest.mark.parametrize(("parts", "hint"), [(("db", "t"), "`lake.db.t` or `shop.db.t`"), (("t",), "`lake.db.t` or")])
def test_a_name_that_means_several_visible_tables_is_refused_with_their_names(
    policy: BoundPolicy, parts: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(QueryError) as caught:
        found(policy, "alice", *parts)
    assert caught.value.reason is Reason.SQL_BINDING
    assert caught.value.message == f"the name `{'.'.join(parts)}` means more than one table"
    assert hint in caught.value.hint


def test_a_table_that_is_hidden_and_one_that_never_was_have_equal_outcomes(policy: BoundPolicy) -> None:
    hidden = [
        decide(policy, principal("eve"), name_of(name), facts=RequestFacts.of_instant(NOW))
        for name in ("lake.db.t", "lake.db.nope", "no.no.no")
    ]
    assert hidden == [TableHidden(policy_version=policy.version)] * 3


def test_the_error_for_a_hidden_table_is_a_function_of_the_name_alone() -> None:
    error = table_not_found(("lake", "db", "t"))
    assert (error.reason, error.message) == (Reason.TABLE_NOT_FOUND, "there is no table `lake.db.t`")
    assert error.metadata == (("table", "lake.db.t"),)
    assert "x" * 256 + "...`" in table_not_found(("x" * 5000,)).message


def test_the_error_for_a_table_that_may_be_described_only_says_what_to_ask_for(policy: BoundPolicy) -> None:
    outcome = decide(policy, principal("bob"), name_of("lake.db.u"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDescribed)
    error: PenstockError = table_not_readable(outcome, ("db", "u"))
    assert error.reason is Reason.DENIED_BY_POLICY
    assert error.metadata == (("table", "db.u"),)
    assert error.message == "you may know of the table `lake.db.u`, but not read it"
    assert error.hint == "ask for the permission SELECT on `lake.db.u`"


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("alice", ["lake.db.t", "lake.db.u", "lake.db.v", "lake.other.t", "lake.other.w", "shop.db.t"]),
        ("bob", ["lake.db.u", "shop.db.t"]),
        ("eve", []),
    ],
)
def test_exactly_the_tables_that_exist_for_the_caller_are_listed(
    policy: BoundPolicy, who: str, expected: list[str]
) -> None:
    listed = visible_tables(policy, principal(who), facts=RequestFacts.of_instant(NOW))
    assert [str(o.table.name if isinstance(o, TableDecision) else o.schema.name) for o in listed] == expected
    for outcome in listed:
        name = outcome.table.name if isinstance(outcome, TableDecision) else outcome.schema.name
        assert outcome == decide(policy, principal(who), name, facts=RequestFacts.of_instant(NOW))


def test_the_first_of_several_ends_that_matter_ends_the_decision(tmp_path: Path) -> None:
    ends = [NOW + timedelta(hours=hours) for hours in (7, 3, 9, 5)]
    grants = "".join(
        f"  - {{name: g{number}, principals: [everyone], resource: lake.db.t, permissions: [SELECT], "
        f'rows: "id = {number}", expires: {end.isoformat()}}}\n'
        for number, end in enumerate(ends)
    )
    policy = bind_policy(tmp_path, "version: 1\ngrants:\n" + grants, table("lake.db.t", {"id": "INTEGER"}))
    seen = []
    at = NOW
    while isinstance(
        outcome := decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(at)), TableDecision
    ):
        assert outcome.expires_at is not None
        at = outcome.expires_at
        seen.append(at)
    assert seen == sorted(ends)


def test_the_end_of_the_grant_that_made_a_table_full_ends_the_decision(tmp_path: Path) -> None:
    text = """\
version: 1
grants:
  - {name: full, principals: [everyone], resource: lake.db.t, permissions: [SELECT], expires: 2026-06-02T00:00:00Z}
  - {name: list, principals: [everyone], resource: lake.db.t, permissions: [SELECT], columns: {include: [id]}}
"""
    policy = bind_policy(tmp_path, text, table("lake.db.t", {"id": "INTEGER"}))
    outcome = decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    assert (outcome.full, outcome.expires_at) == (True, datetime(2026, 6, 2, tzinfo=UTC))


def test_the_selectors_of_a_principal_are_those_that_select_it() -> None:
    random = Random(1)
    issuers, names = (ISSUER, OTHER_ISSUER), ("a", "b", "c")
    selectors = [EveryoneOf(issuer=issuer) for issuer in issuers] + [
        kind
        for issuer, name in itertools.product(issuers, names)
        for kind in (
            UserByName(issuer=issuer, username=name),
            UserBySubject(issuer=issuer, subject=name),
            Group(issuer=issuer, name=name),
        )
    ]
    for _ in range(200):
        asking = principal(
            random.choice([*names, None]),
            issuer=random.choice(issuers),
            subject=random.choice(names),
            groups=random.sample(names, random.randint(0, 3)),
        )
        assert set(selectors_of(asking)) == {selector for selector in selectors if selects(selector, asking)}


def test_different_predicates_never_have_one_encoding() -> None:
    """Equal fingerprints must mean equal relations, else one caller is served the extract of another."""
    constants: list[Constant] = [
        "1",
        1,
        True,
        Decimal(1),
        1.0,
        date(1, 1, 1),
        datetime(1, 1, 1, tzinfo=UTC),
        "True",
        "i1",
        "",
    ]
    tests: list[Predicate] = [Always(), Never(), IsNull(column="a"), IsNull(column="b")]
    tests += [Compare(column="a", op=op, value=value) for op in Comparison for value in constants]
    tests += [Like(column="a", pattern=pattern) for pattern in ("", "%", "_", "a%")]
    tests += [In(column="a", values=frozenset(values)) for values in (["x"], ["y"], ["x", "y"], ["xy"], [1], [1.0])]
    tests += [Between(column="a", low=low, high=high) for low, high in itertools.permutations(("x", "y", ""), 2)]
    joins: list[Predicate] = [Not(operand=test) for test in tests]
    for kind in (And, Or, AnyTrue, AllTrue):
        joins += [kind(operands=pair) for pair in itertools.combinations(tests[:6], 2)]
        joins.append(kind(operands=tuple(tests[:3])))
    joins += [AnyTrue(operands=()), And(operands=(tests[0], And(operands=(tests[1], tests[2]))))]
    everything = tests + joins
    distinct = {repr(predicate) for predicate in everything}
    assert len(distinct) == len(everything)
    assert len({encode_predicate(predicate) for predicate in everything}) == len(everything)


def test_the_order_of_operands_changes_no_encoding() -> None:
    a, b, c = (Compare(column=name, op=Comparison.EQUAL, value=1) for name in "abc")
    for kind in (And, Or, AnyTrue, AllTrue):
        assert len({encode_predicate(kind(operands=order)) for order in itertools.permutations((a, b, c))}) == 1
    long = [Decimal(f"1234567890123456789012345678901234567{digit}") for digit in (1, 2)]
    assert len({encode_predicate(Compare(column="a", op=Comparison.EQUAL, value=value)) for value in long}) == 2
    decimals = [Compare(column="a", op=Comparison.EQUAL, value=Decimal(text)) for text in ("1.5", "1.50")]
    assert encode_predicate(decimals[0]) == encode_predicate(decimals[1])


MASKED = """\
version: 1
masks:
  m: {{rank: 1, expression: {0}}}
grants:
  - {{name: {1}, principals: [everyone], resource: lake.db.t, permissions: [SELECT], masks: {{s: m}}}}
"""


def test_the_fingerprint_holds_what_a_mask_shows_and_not_its_name(tmp_path: Path) -> None:
    def fingerprint(text: str, kind: str = "VARCHAR") -> str:
        policy = bind_policy(tmp_path, text, table("lake.db.t", {"s": kind, "x": "DATE"}))
        outcome = decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        return outcome.fingerprint

    base = fingerprint(MASKED.format("\"'a'\"", "g"))
    assert fingerprint(MASKED.format("\"'a'\"", "other").replace("m:", "n:").replace("s: m", "s: n")) == base
    different = [
        fingerprint(MASKED.format("\"'b'\"", "g")),
        fingerprint(MASKED.format('"NULL"', "g")),
        fingerprint(MASKED.format("\"CASE WHEN value IS NULL THEN NULL ELSE 'a' END\"", "g")),
        fingerprint(MASKED.format("\"CASE WHEN value IS NULL THEN 'a' END\"", "g")),
        fingerprint(MASKED.format('"1"', "g"), "INTEGER"),
        fingerprint(MASKED.format('"1"', "g"), "BIGINT"),
        fingerprint(MASKED.format('"1"', "g"), "DOUBLE"),
    ]
    assert len({base, *different}) == 8

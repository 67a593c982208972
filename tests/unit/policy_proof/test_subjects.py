"""Proofs about `:user.subject`, of which nothing is known but that everybody has one, held against rows and people."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Same, Widening
from penstock_server.policy.proof.plan import compare
from support.governed_rows import apply_decision
from support.policies import ISSUER, NOW, OTHER_ISSUER, bind_policy, name_of, principal, table
from support.reference_model import Person, subject_hash

GRANT = """\
version: 1
grants:
  - {{name: g, principals: [everyone, "everyone@https://other.test"], resource: lake.db.t, permissions: [SELECT], rows: "{}"}}
"""  # noqa: E501 - one grant a line
FILTERS = (
    "s = :user.subject",
    "NOT (s <> :user.subject)",
    "s <> :user.subject",
    "s < :user.subject",
    "s <= :user.subject",
    "s = :user.subject OR k = 1",
    "s = :user.subject AND k = 1",
    "s IS NOT NULL",
    "s = :user.name",
    "s = ''",
    "s = :user.subject OR r = :user.subject",
    "k = 1",
)
PEOPLE = [
    principal(name, subject=name, issuer=issuer) for name in ("alice", "bob") for issuer in (ISSUER, OTHER_ISSUER)
]
HASHES = [
    subject_hash(
        Person(issuer=who.issuer, subject=who.subject, username=who.username, groups=frozenset(), attributes={})
    )
    for who in PEOPLE
]
TEXTS = [None, "", "!", "alice", "~", *HASHES]
ROWS: list[dict[str, Any]] = [{"s": s, "r": r, "k": k} for s in TEXTS for r in (None, HASHES[0]) for k in (1, 2)]


def seen(policy: BoundPolicy) -> set[tuple[int, str]]:
    """Which rows each of the people sees."""
    found: set[tuple[int, str]] = set()
    for number, who in enumerate(PEOPLE):
        outcome = decide(policy, who, name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
        if isinstance(outcome, TableDecision):
            found |= {(number, repr(row)) for row in apply_decision(outcome.table, ROWS)}
    return found


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> list[BoundPolicy]:
    columns = table("lake.db.t", {"s": "VARCHAR", "r": "VARCHAR", "k": "INTEGER"})
    return [bind_policy(tmp_path_factory.mktemp("p"), GRANT.format(rows), columns) for rows in FILTERS]


def test_a_proof_is_never_more_than_rows_and_people_bear_out(policies: list[BoundPolicy]) -> None:
    verdicts: dict[str, int] = {}
    for old, new in permutations(range(len(FILTERS)), 2):
        plan = compare(policies[old], policies[new], at=NOW, budget=DEFAULT_BUDGET)
        verdict = plan.subjects[0].verdict if plan.subjects else Same()
        before, after = seen(policies[old]), seen(policies[new])
        what = f"{FILTERS[old]} -> {FILTERS[new]}: {verdict}"
        match verdict:
            case Same():
                assert before == after, what
            case Narrowing():
                assert after <= before, what
            case Widening():
                assert verdict.gains, what
            case _:
                pass
        verdicts[type(verdict).__name__] = verdicts.get(type(verdict).__name__, 0) + 1
    assert verdicts["Same"] == 2
    assert verdicts["Narrowing"] >= 10
    assert verdicts["Widening"] >= 60

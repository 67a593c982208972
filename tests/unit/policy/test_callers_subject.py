"""`:user.subject` is who somebody is, at whatever issuer."""

from __future__ import annotations

import hashlib
from pathlib import Path

from penstock_server.model.decision import TableDecision
from penstock_server.model.predicate import Compare, Comparison, Never, Predicate
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from support.policies import ISSUER, NOW, OTHER_ISSUER, bind_policy, name_of, principal, table

POLICY = """\
version: 1
grants:
  - name: own
    principals: [everyone, "everyone@https://other.test"]
    resource: lake.db.t
    permissions: [SELECT]
    rows: "owner = :user.subject"
    conditions:
      StringEquals: {"penstock:Subject": "${penstock:Subject}"}
"""


def rows(policy: BoundPolicy, who: Principal) -> tuple[Predicate, ...]:
    outcome = decide(policy, who, name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome.table.rows


def bound(folder: Path, text: str = POLICY) -> BoundPolicy:
    return bind_policy(folder, text, table("lake.db.t", {"owner": "VARCHAR"}))


def test_the_hash_is_over_issuer_and_subject_each_after_its_length(tmp_path: Path) -> None:
    raw = b"".join(len(part).to_bytes(8, "big") + part for part in (ISSUER.encode(), "Zoë".encode()))
    expected = Compare(column="owner", op=Comparison.EQUAL, value=hashlib.sha256(raw).hexdigest())
    assert rows(bound(tmp_path), principal("zoe", subject="Zoë")) == (expected,)


def test_equal_subjects_of_two_issuers_have_two_hashes(tmp_path: Path) -> None:
    policy = bound(tmp_path)
    seen = [rows(policy, principal("a", subject="s", issuer=issuer)) for issuer in (ISSUER, OTHER_ISSUER)]
    assert seen[0] != seen[1]
    # What is moved from one part to the other makes another hash too.
    assert rows(policy, principal("a", subject="tests", issuer=ISSUER)) not in seen


def test_a_principal_without_a_known_subject_has_none(tmp_path: Path) -> None:
    unknown = principal("a", subject="")
    without = bound(tmp_path, POLICY[: POLICY.index("    conditions")])
    assert rows(without, unknown) == (Never(),)
    outcome = decide(bound(tmp_path), unknown, name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert not isinstance(outcome, TableDecision)

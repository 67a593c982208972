"""The session policies in the guide for Spark are those that its jobs get."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock_server.credentials.covered import cover
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.session_policy import MAX_CHARS
from support.credentials import ACCOUNT, aws_request, bound_policy, principal
from support.documents import ROOT, blocks
from support.tokens import request_context

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ENDS = AT + timedelta(hours=4)


def test_the_session_policies_of_the_guide_are_those_of_its_jobs_and_no_three_fit(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs" / "spark.md")
    (grants,) = (block.text for block in found if block.kind == "policy")
    shown = [block.text for block in found if block.kind == "session policy"]
    commands = [block.text.split() for block in found if "spark run" in block.text]
    policy = bound_policy(tmp_path, grants.removeprefix("version: 1\n"))
    facts = request_context().facts(at=AT, requested_ttl=None, purpose="", carried=True)
    asked = [[word.strip("'") for word in words if word.startswith("'arn:")] for words in commands]
    assert len(shown) == len(asked) == 2

    def printed(arns: list[str]) -> str:
        covered = cover(policy, principal("alice", "analysts"), aws_request(*arns), facts=facts)
        text = print_session_policy((*covered.scopes, *covered.items, *covered.services), ACCOUNT, ENDS)
        decided = Decided(
            scopes=covered.scopes,
            items=covered.items,
            services=covered.services,
            account=ACCOUNT,
            ends=(ENDS,),
            session_ends_by=ENDS + timedelta(minutes=5),
        )
        assert isinstance(prove(text, decided), ProvedPolicy) is (len(text) <= MAX_CHARS)
        return text

    for arns, text in zip(asked, shown, strict=True):
        assert json.loads(text) == json.loads(printed(arns))
        assert len(printed(arns)) <= MAX_CHARS
        assert f"{len(printed(arns)):,}" in (ROOT / "docs" / "spark.md").read_text()
    assert len(printed([*asked[0], asked[1][-1]])) > MAX_CHARS

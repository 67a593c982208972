"""The session policy in the documents is what the product prints of the policy beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock_server.credentials.covered import cover
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.model.decision import Access
from support.credentials import ACCOUNT, aws_request, bound_policy, principal
from support.documents import ROOT, blocks
from support.tokens import request_context

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_the_session_policy_of_the_example_is_the_one_that_is_sent(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs" / "session-policies.md")
    (grants,) = (block for block in found if block.kind == "policy")
    (shown,) = (block for block in found if block.kind == "session policy")
    (command,) = (block for block in found if block.language == "sh")
    (arn,) = (word.strip("'") for word in command.text.split() if word.startswith("'arn:"))

    policy = bound_policy(tmp_path, grants.text.removeprefix("version: 1\n"))
    facts = request_context().facts(at=AT, requested_ttl=None, purpose="", carried=True)
    request = aws_request(arn, access=(Access.READ, Access.WRITE))
    covered = cover(policy, principal("alice", "analysts"), request, facts=facts)
    text = print_session_policy(covered.scopes, ACCOUNT, None)

    assert json.loads(shown.text) == json.loads(text)
    decided = Decided(scopes=covered.scopes, account=ACCOUNT, ends=(), session_ends_by=AT + timedelta(hours=1))
    assert isinstance(prove(text, decided), ProvedPolicy)

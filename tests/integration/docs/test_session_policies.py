"""The session policy in the documents is what the product prints of the policy beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
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


def test_the_session_policies_of_the_examples_are_those_that_are_sent(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs" / "session-policies.md")
    policies = [block.text for block in found if block.kind == "policy"]
    texts = [block.text for block in found if block.kind == "session policy"]
    commands = [block.text.split() for block in found if "creds aws" in block.text]
    assert len(policies) == len(texts) == len(commands) == 7

    for number, (grants, shown, words) in enumerate(zip(policies, texts, commands, strict=True)):
        arns = [word.strip("'") for word in words if word.startswith("'arn:")]
        access = tuple(Access(word) for before, word in pairwise(words) if before == "--access")
        folder = tmp_path / str(number)
        folder.mkdir()
        policy = bound_policy(folder, grants.removeprefix("version: 1\n"))
        facts = request_context().facts(at=AT, requested_ttl=None, purpose="", carried=True)
        covered = cover(policy, principal("alice", "analysts"), aws_request(*arns, access=access), facts=facts)
        text = print_session_policy((*covered.scopes, *covered.items, *covered.services), ACCOUNT, None)

        assert json.loads(shown) == json.loads(text)
        decided = Decided(
            scopes=covered.scopes,
            items=covered.items,
            services=covered.services,
            account=ACCOUNT,
            ends=(),
            session_ends_by=AT + timedelta(hours=1),
        )
        assert isinstance(prove(text, decided), ProvedPolicy)

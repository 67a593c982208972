"""The two policies that the operations page tells to create are the ones that the product needs, and no more."""

from __future__ import annotations

import inspect
import json
import re

from penstock_server.aws import boundary
from penstock_server.credentials.revocation_document import revocation_document
from support.documents import all_blocks
from support.iam import Verdict, evaluate

EMPTY, REVOKER = (block.text for block in all_blocks() if block.language == "json" and block.kind == "revocation")
POLICY = "arn:aws:iam::111122223333:policy/penstock-boundary"
ROLE = "arn:aws:iam::111122223333:role/penstock-lake-reader"


def verdict(action: str, resource: str) -> Verdict:
    return evaluate(REVOKER, action=action, resource=resource, context={})


def test_the_policy_to_create_is_the_document_of_no_revocations() -> None:
    assert json.loads(EMPTY) == json.loads(revocation_document(()).text)


def test_the_revoker_may_do_what_it_does_and_nothing_else() -> None:
    called = set(re.findall(r"\biam\.([a-z_]+)\(", inspect.getsource(boundary))) - {"close"}
    assert called >= {"create_policy_version", "get_role"}
    needed = {"iam:" + "".join(word.title() for word in name.split("_")) for name in called}
    given = {action for each in json.loads(REVOKER)["Statement"] for action in _many(each["Action"])}
    assert given == needed


def test_the_revoker_may_write_that_one_policy_and_attach_it_nowhere() -> None:
    assert verdict("iam:CreatePolicyVersion", POLICY) is Verdict.ALLOWED
    assert verdict("iam:CreatePolicyVersion", f"{POLICY}-other") is not Verdict.ALLOWED
    for action in ("iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", "sts:AssumeRole"):
        assert verdict(action, ROLE) is not Verdict.ALLOWED


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

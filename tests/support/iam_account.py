"""Requests of principals with policies of their own, before the foreign evaluator of `support.iam_simulator`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from support.iam_simulator import INSTALLED, NODE, SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Policies are values; `resource_policy` is that of the resource, a role's trust among them."""

    principal: str
    action: str
    resource: str
    account: str
    identity: Sequence[Mapping[str, object]] = ()
    resource_policy: Mapping[str, object] | None = None
    session: Mapping[str, object] | None = None
    boundary: Mapping[str, object] | None = None
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def verdicts(requests: Sequence[Request]) -> list[str]:
    """Give `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied` or `error: ...` of each."""
    cases = [
        {
            "principal": each.principal,
            "action": each.action,
            "resource": each.resource,
            "account": each.account,
            "context": dict(each.context),
            "identity": [json.dumps(policy) for policy in each.identity],
            "resourcePolicy": _text(each.resource_policy),
            "session": _text(each.session),
            "boundary": _text(each.boundary),
        }
        for each in requests
    ]
    run = subprocess.run(
        [NODE, "ask.mjs"],
        cwd=INSTALLED,
        input=json.dumps({"cases": cases}),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    found = json.loads(run.stdout)
    assert len(found) == len(cases), run.stdout[:1000]
    return [str(verdict) for verdict in found]


def _text(policy: Mapping[str, object] | None) -> str | None:
    return None if policy is None else json.dumps(policy)

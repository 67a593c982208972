"""What a check of a policy found."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.decision import PolicyVersion
from penstock_server.policy.problems import LocatedProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """`problems` keep the policy from being loaded, `warnings` do not; `version` is None where there are problems.

    `paths` are the files and folders as they were named; `unchecked` says in words what was not looked at.
    """

    paths: tuple[str, ...]
    problems: tuple[LocatedProblem, ...]
    warnings: tuple[LocatedProblem, ...]
    unchecked: tuple[str, ...]
    version: PolicyVersion | None


def in_one_line(finding: LocatedProblem) -> str:
    """Give a finding as `FILE:LINE: what`."""
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return f"{place}: {finding.what}" if place else finding.what

"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended. CANNOT_KNOW is no verdict: nobody could look from here."""

    OK = "ok"
    FAILED = "failed"
    CANNOT_KNOW = "cannot know"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor.

    `subject` groups lines (`barriers`, `secrets`). `claim` is true where the verdict is OK; `detail` is what was seen;
    `fix` says what to do, and is "" where the verdict is OK. None of them holds a secret.
    """

    subject: str
    claim: str
    verdict: Verdict
    detail: str
    fix: str


def ok(subject: str, claim: str, detail: str = "") -> Finding:
    """Give the finding that a claim holds."""
    return Finding(subject=subject, claim=claim, verdict=Verdict.OK, detail=detail, fix="")


def failed(subject: str, claim: str, detail: str, *, fix: str) -> Finding:
    """Give the finding that a claim does not hold."""
    return Finding(subject=subject, claim=claim, verdict=Verdict.FAILED, detail=detail, fix=fix)


def cannot_know(subject: str, claim: str, detail: str, *, fix: str) -> Finding:
    """Give the finding that nobody can tell from here."""
    return Finding(subject=subject, claim=claim, verdict=Verdict.CANNOT_KNOW, detail=detail, fix=fix)


def exit_code(findings: Sequence[Finding]) -> int:
    """Give the exit code of a command: 1 where a claim does not hold, or where nothing was looked at."""
    return int(not findings or any(finding.verdict is Verdict.FAILED for finding in findings))

"""Answers to questions, and the verdict that they make together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from penstock_server.policy.proof.budget import OutOfBudget
from penstock_server.policy.proof.findings import Finding, FindingKind, Narrowing, Same, Undecided, Verdict, Widening


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What questions found, confirmed, and why some of them are open."""

    findings: tuple[Finding, ...]
    open_questions: tuple[str, ...]


NOTHING_FOUND = Answer(findings=(), open_questions=())
"""There is no model: proved."""


def found(finding: Finding) -> Answer:
    """Give the answer of a confirmed finding."""
    return Answer(findings=(finding,), open_questions=())


def unconfirmed(what: str) -> Answer:
    """Give the answer where there is a model that the serving evaluator does not bear out.

    SECURITY: such a model proves nothing, in either direction.
    """
    reason = f"a possible difference ({what}) was found that the serving evaluator does not bear out"
    return Answer(findings=(), open_questions=(reason,))


class Asked:
    """Collects answers."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    def add(self, answer: Answer) -> bool:
        """Add one; tells whether there is anything in it."""
        self._answers.append(answer)
        return bool(answer.findings or answer.open_questions)

    def give_up(self, error: OutOfBudget) -> None:
        """Note that the questions that are left stay open."""
        self._answers.append(Answer(findings=(), open_questions=(str(error),)))

    def answer(self) -> Answer:
        """Give all together."""
        return merged(self._answers)

    def turned(self) -> Answer:
        """Give all together, for questions that were asked with the versions exchanged."""
        answer = self.answer()
        findings = (replace(one, before=one.after, after=one.before) for one in answer.findings)
        return replace(answer, findings=tuple(findings))


def merged(answers: Iterable[Answer]) -> Answer:
    """Join answers; of findings of one kind about the same things the first is kept."""
    findings: dict[tuple[FindingKind, tuple[str, ...]], Finding] = {}
    open_questions: dict[str, None] = {}
    for answer in answers:
        for finding in answer.findings:
            findings.setdefault((finding.kind, finding.things), finding)
        open_questions.update(dict.fromkeys(answer.open_questions))
    return Answer(findings=tuple(findings.values()), open_questions=tuple(open_questions))


def verdict_of(gains: Answer, losses: Answer) -> Verdict:
    """Give the verdict; an open question about gains is never narrower."""
    if gains.findings:
        return Widening(gains=gains.findings, losses=losses.findings, open_questions=gains.open_questions)
    if gains.open_questions:
        return Undecided(reasons=gains.open_questions)
    if losses.findings or losses.open_questions:
        return Narrowing(losses=losses.findings)
    return Same()

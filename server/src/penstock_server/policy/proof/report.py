"""A plan as sentences: what all formats print."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock_server.policy.proof.findings import (
    ClassPlan,
    Finding,
    Inference,
    Narrowing,
    Plan,
    Same,
    SubjectPlan,
    Undecided,
    Verdict,
    Widening,
)
from penstock_server.policy.proof.wording import Wording, verdict_word

EVERYBODY = "all principals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A finding in words."""

    text: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice in words."""

    text: str
    notice: Inference


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEntry:
    """One class of principals by name; `reasons` say what could not be decided."""

    name: str
    verdict: str
    gains: tuple[Sentence, ...]
    losses: tuple[Sentence, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectEntry:
    """One table, bucket or login: `verdict` is for all principals, combinations of groups among them."""

    kind: str
    name: str
    verdict: str
    classes: tuple[ClassEntry, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole plan; `old` and `new` are what was compared, as it was named."""

    old: str
    new: str
    plan: Plan
    verdict: str
    subjects: tuple[SubjectEntry, ...]

    @property
    def is_wider(self) -> bool:
        """Whether somebody would see more, or that could not be ruled out."""
        return self.verdict in {"WIDENING", "UNDECIDED"}

    @property
    def has_notices(self) -> bool:
        """Whether a column newly tells something of itself."""
        return any(subject.notices for subject in self.subjects)


def report_of(plan: Plan, *, old: str, new: str) -> Report:
    """Give a plan in sentences."""
    wording = Wording(default_issuer=plan.default_issuer, since=plan.since)
    return Report(
        old=old,
        new=new,
        plan=plan,
        verdict=_worst(subject.verdict for subject in plan.subjects),
        subjects=tuple(_subject(subject, wording) for subject in plan.subjects),
    )


def _worst(verdicts: Iterable[Verdict]) -> str:
    words = {verdict_word(verdict) for verdict in verdicts}
    return next((word for word in ("WIDENING", "UNDECIDED", "NARROWING") if word in words), "SAME")


def _subject(subject: SubjectPlan, wording: Wording) -> SubjectEntry:
    classes = [_class(one, subject, wording) for one in subject.classes]
    told = {who for one in subject.classes for who in one.members}
    everybody = _entry(EVERYBODY, subject.verdict, subject, wording)
    # What a class tells already is not told again; what only a combination of groups brings is.
    further = ClassEntry(
        name=EVERYBODY,
        verdict=everybody.verdict,
        gains=tuple(one for one in everybody.gains if one.finding.example.who not in told),
        losses=tuple(one for one in everybody.losses if one.finding.example.who not in told),
        reasons=everybody.reasons,
    )
    if further.gains or further.losses or further.reasons:
        classes.insert(0, further)
    return SubjectEntry(
        kind=subject.kind.value,
        name=subject.name,
        verdict=verdict_word(subject.verdict),
        classes=tuple(classes),
        notices=tuple(Notice(text=wording.inference(notice), notice=notice) for notice in subject.notices),
    )


def _class(one: ClassPlan, subject: SubjectPlan, wording: Wording) -> ClassEntry:
    return _entry(wording.members(one.members), one.verdict, subject, wording)


def _entry(name: str, verdict: Verdict, subject: SubjectPlan, wording: Wording) -> ClassEntry:
    gains: tuple[Finding, ...] = ()
    losses: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    match verdict:
        case Same():
            pass
        case Narrowing():
            losses = verdict.losses
        case Widening():
            gains, losses, reasons = verdict.gains, verdict.losses, verdict.open_questions
        case Undecided():
            reasons = verdict.reasons
    return ClassEntry(
        name=name,
        verdict=verdict_word(verdict),
        gains=tuple(Sentence(text=wording.gain(finding, subject), finding=finding) for finding in gains),
        losses=tuple(Sentence(text=wording.loss(finding, subject), finding=finding) for finding in losses),
        reasons=reasons,
    )

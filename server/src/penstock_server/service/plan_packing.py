"""Plans and problems of policies to their messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from penstock.v1 import policy_service_pb2 as messages

from penstock_server.policy.problems import located
from penstock_server.policy.proof.findings import Example
from penstock_server.policy.proof.report import ClassEntry, Notice, Report, Sentence, SubjectEntry
from penstock_server.policy.proof.report_text import report_text
from penstock_server.service.packing import timestamp

MAX_SUBJECT_BYTES: Final = 2 * 1024 * 1024
MAX_TEXT_BYTES: Final = 1024 * 1024
"""Together they fit into the 4 MiB that a gRPC client accepts by default."""

_VERDICTS: Final = {
    "SAME": messages.POLICY_VERDICT_SAME,
    "NARROWING": messages.POLICY_VERDICT_NARROWING,
    "WIDENING": messages.POLICY_VERDICT_WIDENING,
    "UNDECIDED": messages.POLICY_VERDICT_UNDECIDED,
}
_CUT: Final = "... and so on: the text was cut here"


def packed_problems(problems: Iterable[str]) -> list[messages.PolicyProblem]:
    """Give problems of the form `FILE:LINE: what`; one of another form has no place."""
    return [_problem(problem) for problem in problems]


def packed_plan(report: Report) -> messages.PlanPolicyResponse:
    """Give a plan, without the subjects for which there is no room."""
    subjects: list[messages.PolicySubject] = []
    size = 0
    for entry in report.subjects:
        subject = _subject(entry)
        size += subject.ByteSize()
        if size > MAX_SUBJECT_BYTES:
            break
        subjects.append(subject)
    return messages.PlanPolicyResponse(
        old_policy_version=report.plan.old,
        new_policy_version=report.plan.new,
        verdict=_VERDICTS[report.verdict],
        since_time=timestamp(report.plan.since),
        subjects=subjects,
        unchanged_count=report.plan.unchanged,
        left_out_count=len(report.subjects) - len(subjects),
        text=_text(report),
    )


def _problem(problem: str) -> messages.PolicyProblem:
    # A file of this machine may have a name that is no text, which no message can hold.
    found = located(problem.encode(errors="backslashreplace").decode())
    return messages.PolicyProblem(path=found.path, line=found.line, description=found.what)


def _text(report: Report) -> str:
    raw = report_text(report).encode()
    if len(raw) <= MAX_TEXT_BYTES:
        return raw.decode()
    whole_lines, _, _ = raw[:MAX_TEXT_BYTES].rpartition(b"\n")
    return f"{whole_lines.decode()}\n{_CUT}\n"


def _subject(entry: SubjectEntry) -> messages.PolicySubject:
    return messages.PolicySubject(
        kind=entry.kind,
        name=entry.name,
        verdict=_VERDICTS[entry.verdict],
        classes=[_class(one) for one in entry.classes],
        inferences=[_inference(notice) for notice in entry.notices],
    )


def _class(entry: ClassEntry) -> messages.PolicyClass:
    return messages.PolicyClass(
        principals=entry.name,
        verdict=_VERDICTS[entry.verdict],
        gains=[_change(sentence) for sentence in entry.gains],
        losses=[_change(sentence) for sentence in entry.losses],
        open_questions=entry.reasons,
    )


def _change(sentence: Sentence) -> messages.PolicyChange:
    finding = sentence.finding
    return messages.PolicyChange(
        sentence=sentence.text,
        kind=finding.kind.value,
        things=finding.things,
        before=finding.before,
        after=finding.after,
        witness=_witness(finding.example),
    )


def _witness(example: Example) -> messages.PolicyWitness:
    return messages.PolicyWitness(
        issuer=example.who.issuer,
        username=example.who.username or "",
        groups=[group.name for group in example.who.groups],
        attributes=[messages.PolicyFact(name=name, values=values) for name, values in example.who.attributes],
        circumstances=[messages.PolicyFact(name=name, values=values) for name, values in example.given],
        row=_row(example.row),
        from_time=timestamp(example.at),
    )


def _inference(notice: Notice) -> messages.PolicyInference:
    return messages.PolicyInference(
        sentence=notice.text,
        column=notice.notice.column,
        betrayed_by=notice.notice.betrayed_by or "",
        shown=_row(notice.notice.shown),
        hidden=_row(notice.notice.hidden),
    )


def _row(row: Iterable[tuple[str, str]]) -> list[messages.PolicyFact]:
    return [messages.PolicyFact(name=column, values=[value]) for column, value in row]

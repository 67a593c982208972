"""A plan as lines for a person, each in parts that may be coloured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from penstock_server.model.printable import printable
from penstock_server.policy.proof.report import ClassEntry, Report


class Mark(Enum):
    """What a part of a line tells."""

    SAME = auto()
    NARROWING = auto()
    WIDENING = auto()
    UNDECIDED = auto()
    SUBJECT = auto()
    PLAIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a line, which may hold names of policies: print it by `printable` only."""

    text: str
    mark: Mark


Line = tuple[Part, ...]


def report_lines(report: Report) -> Iterator[Line]:
    """Give the lines of a plan."""
    for subject in report.subjects:
        name = Part(text=f"{subject.kind} {subject.name}", mark=Mark.SUBJECT)
        yield _verdict(subject.verdict), name
        for entry in subject.classes:
            yield from _class(entry)
        for notice in subject.notices:
            yield _sentence("    inference  ", Mark.UNDECIDED, notice.text)
    yield _verdict(report.verdict), Part(text=_summary(report), mark=Mark.PLAIN)


def report_text(report: Report) -> str:
    """Give a plan as text without colours, and without anything that a terminal would obey."""
    return "".join(printable("".join(part.text for part in line)) + "\n" for line in report_lines(report))


def _class(entry: ClassEntry) -> Iterator[Line]:
    yield Part(text="  ", mark=Mark.PLAIN), _verdict(entry.verdict), Part(text=entry.name, mark=Mark.PLAIN)
    for sentence in entry.gains:
        yield _sentence("    + ", Mark.WIDENING, sentence.text)
    for sentence in entry.losses:
        yield _sentence("    - ", Mark.NARROWING, sentence.text)
    for reason in entry.reasons:
        yield _sentence("    ? ", Mark.UNDECIDED, reason)


def _verdict(word: str) -> Part:
    return Part(text=f"{word:<11}", mark=Mark[word])


def _sentence(sign: str, mark: Mark, text: str) -> Line:
    return Part(text=sign, mark=mark), Part(text=text, mark=Mark.PLAIN)


def _summary(report: Report) -> str:
    changed = len(report.subjects)
    return f"from {report.old} to {report.new}: {changed} changed, {report.plan.unchanged} the same"

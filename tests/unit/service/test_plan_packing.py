"""Plans on the wire: they fit into a message, say what was left out, and tell a terminal nothing."""

from datetime import UTC, datetime

import pytest
from penstock.v1 import policy_service_pb2 as messages
from penstock_server.model.decision import PolicyVersion
from penstock_server.policy.proof.findings import Plan, SubjectKind, SubjectPlan, Undecided
from penstock_server.policy.proof.report import Report, report_of
from penstock_server.service.plan_packing import MAX_TEXT_BYTES, packed_plan, packed_problems

CLIENT_ACCEPTS = 4 * 1024 * 1024


def report(*reasons: str) -> Report:
    plan = Plan(
        old=PolicyVersion("old"),
        new=PolicyVersion("new"),
        since=datetime(2026, 6, 1, tzinfo=UTC),
        default_issuer="https://login.test",
        subjects=tuple(
            SubjectPlan(
                kind=SubjectKind.TABLE,
                name=f"lake.nyc.t{number}",
                verdict=Undecided(reasons=(reason,)),
                classes=(),
                notices=(),
            )
            for number, reason in enumerate(reasons)
        ),
        unchanged=7,
    )
    return report_of(plan, old="a", new="b")


def test_a_small_plan_is_whole() -> None:
    packed = packed_plan(report("one", "two"))
    assert [subject.name for subject in packed.subjects] == ["lake.nyc.t0", "lake.nyc.t1"]
    assert (packed.left_out_count, packed.unchanged_count) == (0, 7)
    assert packed.verdict == messages.POLICY_VERDICT_UNDECIDED
    assert packed.text.endswith("from a to b: 2 changed, 7 the same\n")


@pytest.mark.parametrize("letter", ["x", "\U0001f600"], ids=["one byte", "four bytes"])
def test_a_plan_beyond_all_measure_fits_and_says_that_it_was_cut(letter: str) -> None:
    packed = packed_plan(report(*[letter * 1_000] * 8_000))
    assert packed.ByteSize() < CLIENT_ACCEPTS
    assert packed.left_out_count + len(packed.subjects) == 8_000
    assert packed.left_out_count > 0
    assert packed.verdict == messages.POLICY_VERDICT_UNDECIDED
    assert len(packed.text.encode()) < MAX_TEXT_BYTES + 100
    assert packed.text.splitlines()[-1] == "... and so on: the text was cut here"


def test_the_text_holds_nothing_that_a_terminal_obeys() -> None:
    packed = packed_plan(report("\x1b[2J \u202e"))
    assert "\x1b" not in packed.text
    assert "\u202e" not in packed.text
    assert "\\x1b[2J \\u202e" in packed.text


@pytest.mark.parametrize(
    ("problem", "parts"),
    [
        ("a/b.yaml:12: `x`: is wrong: mend it", ("a/b.yaml", 12, "`x`: is wrong: mend it")),
        ("catalog lake: holds two tables", ("catalog lake", 0, "holds two tables")),
        ("and 3 more problems", ("", 0, "and 3 more problems")),
        ("a.yaml:0: nothing", ("", 0, "a.yaml:0: nothing")),
    ],
)
def test_problems_are_taken_apart(problem: str, parts: tuple[str, int, str]) -> None:
    [packed] = packed_problems([problem])
    assert (packed.path, packed.line, packed.description) == parts

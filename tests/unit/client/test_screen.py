from __future__ import annotations

import io

import pytest
from penstock.cli.screen import console, shown, styled
from penstock.cli.shaping import Marks, sentence
from penstock.decisions import AppliedPolicy, MaskedColumn

HOSTILE = {
    "colours": "\x1b[31mred\x1b[0m",
    "the window's title": "\x1b]0;gone\x07",
    "a line break": "a\nerror: b",
    "a carriage return": "real\rfake",
    "a C1 control": "\x9b31m",
    "text from right to left": "user\u202egnp.exe",
    "an isolate": "\u2066x\u2069",
    "a line separator": "a\u2028b",
    "half a character": "\ud800",
    "backspaces": "ab\x08\x08",
    "nothing": "\x00",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_moves_a_terminal_is_shown(text: str) -> None:
    safe = shown(text)

    assert all(each.isprintable() for each in safe)
    assert "\\" in safe


@pytest.mark.parametrize("text", ["", "plain", "Zürich", "日本", "[red]markup[/red]", ":smile:", "a\\nb"])
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    stream = io.StringIO()
    console(stream).print(styled(text))

    assert shown(text) == text
    assert stream.getvalue() == text + "\n"


POLICY = AppliedPolicy(
    table="lake.nyc.flights",
    grants=("analysts-read-flights",),
    row_rules=("carriers-by-team",),
    masked_columns=(MaskedColumn(column="tailnum", mask="hidden-tail"),),
    partly_null_columns=("dest",),
    rows_filtered=True,
    columns_left_out=True,
    row_filter_grants=("analysts-read-flights",),
    column_list_grants=("analysts-read-flights",),
    column_rules_applied=True,
)
WHOLE = AppliedPolicy(
    table="lake.nyc.airlines",
    grants=("everyone",),
    row_rules=(),
    masked_columns=(),
    partly_null_columns=(),
    rows_filtered=False,
    columns_left_out=False,
)


def test_the_closing_line_says_which_policy_shaped_what() -> None:
    assert sentence((POLICY, WHOLE), policy_version="0123456789abcdef") == (
        "policy 0123456789ab: lake.nyc.flights columns left out by analysts-read-flights, column rules, "
        "rows filtered by analysts-read-flights, carriers-by-team, "
        "tailnum masked [hidden-tail], dest* NULL on some rows (by analysts-read-flights); "
        "lake.nyc.airlines whole (by everyone)"
    )


def test_a_statement_without_tables_says_so() -> None:
    assert sentence((), policy_version="v1") == "policy v1: no table was read"


def test_columns_are_marked_by_name_in_any_case() -> None:
    marks = Marks((POLICY, WHOLE))

    assert [marks.heading(name) for name in ("TailNum", "dest", "origin")] == [
        "TailNum [hidden-tail]",
        "dest*",
        "origin",
    ]

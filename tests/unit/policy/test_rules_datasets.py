"""Rules datasets: what is read from the text of a CSV."""

from __future__ import annotations

import csv
import io
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.model.principal import Group, PrincipalSelector, UserByName, UserBySubject
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.csv_text import Rule, RulesTable, parse_rules
from penstock_server.policy.rules.form import PLAIN, RowsOfFile, RulesFormat
from support.policies import ISSUER, ISSUERS, OTHER_ISSUER


def read(text: str, form: RulesFormat = PLAIN) -> RulesTable:
    problems = Problems()
    found = parse_rules(text.encode(), RowsOfFile(source="rules.csv"), ISSUERS, problems, form=form)
    problems.raise_if_any()
    assert found is not None
    return found


def rules_of(text: str, selector: PrincipalSelector) -> tuple[Rule, ...]:
    return read(text).rules.get(selector, ())


ALICE = UserByName(issuer=ISSUER, username="alice")


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("x", {"x"}),
        ("x,y", {"x", "y"}),
        ("x,x", {"x"}),
        ('"AWS,INC"', {"AWS,INC"}),
        ('"AWS,INC",x', {"AWS,INC", "x"}),
        ('x,"a""b",y', {"x", 'a"b', "y"}),
        (" x, y ", {" x", " y "}),
        ("NULL", {"NULL"}),
        (" ", {" "}),
        ("\u00a0", {"\u00a0"}),
        ("x\ty", {"x\ty"}),
        ("\u2028", {"\u2028"}),
        ("*", {"*"}),
        ("'x'", {"'x'"}),
        ("", None),
    ],
)
def test_a_field_is_a_list_of_literals(cell: str, values: set[str] | None) -> None:
    outer = io.StringIO()
    csv.writer(outer, lineterminator="\n").writerow(["alice", cell])
    expected = None if values is None else frozenset(values)
    assert rules_of("UserName,s\n" + outer.getvalue(), ALICE) == ((expected,),)


def test_columns_stand_in_any_order_and_lines_end_in_any_way() -> None:
    for end in ("\n", "\r\n"):
        for last in ("", end, end + end):
            text = end.join(["b,GroupName,a,UserName", "1,,2,alice", ",staff,3,", ",,,", ""]) + last
            table = read(text)
            assert table.fields == ("b", "a")
            assert table.rules == {
                ALICE: ((frozenset({"1"}), frozenset({"2"})),),
                Group(issuer=ISSUER, name="staff"): ((None, frozenset({"3"})),),
            }


def test_rows_that_stand_there_twice_count_once() -> None:
    assert rules_of("UserName,s\nalice,x\nalice,x\nalice,y\n", ALICE) == ((frozenset({"x"}),), (frozenset({"y"}),))


def test_a_dataset_without_rows_shows_nobody_anything() -> None:
    assert read("UserName,s").rules == {}
    assert read("UserName,s\n,\n\n").rules == {}


def test_a_dataset_without_fields_shows_all_rows_to_those_it_names() -> None:
    assert rules_of("UserName\nalice\n", ALICE) == ((),)


def test_names_are_exact_and_belong_to_the_default_issuer() -> None:
    table = read(f"UserName,GroupName,s\n alice ,,x\n,other:staff,x\n{OTHER_ISSUER}|a|b,,x\n")
    assert set(table.rules) == {
        UserByName(issuer=ISSUER, username=" alice "),
        Group(issuer=OTHER_ISSUER, name="staff"),
        UserBySubject(issuer=OTHER_ISSUER, subject="a|b"),
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alice", "bob"]),
            st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5), max_size=3),
        ),
        max_size=5,
    )
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_properly_is_read_back(rows: list[tuple[str, list[str]]]) -> None:
    outer = io.StringIO()
    writer = csv.writer(outer, lineterminator="\n")
    writer.writerow(["UserName", "s"])
    expected: dict[str, list[frozenset[str] | None]] = {}
    for name, values in rows:
        inner = io.StringIO()
        csv.writer(inner, lineterminator="").writerow(values)
        writer.writerow([name, inner.getvalue()])
        found = frozenset(values) if values else None
        if found not in expected.setdefault(name, []):
            expected[name].append(found)
    table = read(outer.getvalue())
    assert {
        selector.username: [rule[0] for rule in rules]
        for selector, rules in table.rules.items()
        if isinstance(selector, UserByName)
    } == expected


@given(
    st.binary(max_size=60) | st.text('",\n\r ab\ufeffU', max_size=60).map(lambda text: b"UserName,a\n" + text.encode())
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    problems = Problems()
    found = parse_rules(raw, RowsOfFile(source="rules.csv"), ISSUERS, problems, form=PLAIN)
    assert (found is None) == (len(problems) > 0)


@pytest.mark.slow
def test_a_million_rows_are_read_in_seconds() -> None:
    random = Random(3)
    regions = [f"region-{number}" for number in range(500)]
    lines = [f'user{random.randrange(100_000)},,{random.choice(regions)},"x,y"' for _ in range(1_000_000)]
    raw = "\n".join(["UserName,GroupName,region,kind", *lines]).encode()
    started = time.process_time()
    problems = Problems()
    table = parse_rules(raw, RowsOfFile(source="rules.csv"), ISSUERS, problems, form=PLAIN)
    assert table is not None
    assert len(table.rules) > 90_000
    assert time.process_time() - started < 20

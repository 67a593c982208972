"""What a text names: tables with their places, functions, parameters; and what is no single read."""

import pytest
from penstock_server.engines.duckdb import nesting, parsing
from penstock_server.engines.duckdb.parsing import ParsedStatement
from penstock_server.errors import PenstockError, QueryError, Reason
from support.sealed import sealed

CONNECTION = sealed()


def parse(sql: str) -> ParsedStatement:
    return parsing.parse(CONNECTION, sql)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select 1", []),
        ("from nyc.flights", [("nyc.flights", 5)]),
        ("select * from flights f, lake.nyc.flights g", [("flights", 14), ("lake.nyc.flights", 25)]),
        ('select * from "Lake"."a b"."c.d"', [("Lake|a b|c.d", 14)]),
        ("select 'é', 'ü' from flights", [("flights", 21)]),
        ("select * from FLIGHTS, flights, Flights", [("FLIGHTS", 14), ("flights", 23), ("Flights", 32)]),
        ("select * from flights a join flights b using (id)", [("flights", 14)]),
        ("select * from 'data.parquet'", [("data.parquet", 14)]),
        ("table flights", [("flights", None)]),
        ("describe nyc.flights", [("nyc.flights", None)]),
        ("summarize flights", [("flights", None)]),
        ("values (1), (2)", []),
        ("select (select max(id) from a) from b where exists (from c)", [("a", 28), ("b", 36), ("c", 57)]),
        ("from a union all from b", [("a", 5), ("b", 22)]),
        ("from (pivot a on x in (1, 2) using sum(y))", [("a", 12)]),
        ("from (unpivot a on x, y into name n value v)", [("a", 14)]),
        ("from a, lateral (select * from b where b.x = a.x)", [("a", 5), ("b", 31)]),
        ("select x in (from a) from b", [("a", 18), ("b", 26)]),
        ("from a order by (select x from b)", [("a", 5), ("b", 31)]),
        ("from a limit (select count(*) from b)", [("a", 5), ("b", 35)]),
        ("from range(3), unnest([1]), json_each('[1]')", []),
        # Common tables: seen by what follows them and by what is within, and by nothing else.
        ("with x as (from a) from x", [("a", 16)]),
        ("with x as (from a), y as (from x) from y", [("a", 16)]),
        ("with y as (from x), x as (from a) from y", [("x", 16), ("a", 31)]),
        ("with a as (from a) from a", [("a", 16)]),
        ("with X as (select 1) from x", []),
        ("with x as (select 1) from nyc.x", [("nyc.x", 26)]),
        ("with x as (select 1) select (select * from x)", []),
        ("from (with x as (select 1) from x), x", [("x", 36)]),
        ("with recursive r as (select 1 n union all select n + 1 from r where n < 3) from r", []),
        ("with recursive r as (select 1 n union all select n + 1 from r, a where n < 3) from r", [("a", 63)]),
        ("with x as (select 1) from x union all (with y as (from x) from y)", []),
    ],
)
def test_the_base_tables_of_a_statement(sql: str, tables: list[tuple[str, int | None]]) -> None:
    found = parse(sql).tables
    expected = [
        (tuple(name.split("|" if "|" in name else ".")) if name != "data.parquet" else (name,), position)
        for name, position in tables
    ]
    assert [(reference.parts, reference.position) for reference in found] == expected


@pytest.mark.parametrize(
    ("sql", "functions"),
    [
        ("select abs(1) + upper('x')", {"+", "abs", "upper"}),
        ("select id.abs().round(2) from t", {"abs", "round"}),
        ("select [x + 1 for x in [1] if x > 0]", {"+", "list_apply", "list_filter", "list_value"}),
        ("select sum(x) over (order by y) from t", {"sum"}),
        ("select x like 'a' escape 'b' from t", {"like_escape"}),
        ("select system.main.abs(1)", {"abs"}),
        ("select ABS(1)", {"abs"}),
    ],
)
def test_the_functions_of_a_statement(sql: str, functions: set[str]) -> None:
    assert functions <= set(parse(sql).functions)


@pytest.mark.parametrize(
    ("sql", "count"),
    [("select 1", 0), ("select ?, ?", 2), ("select $1 + $1", 1), ("select $2, $1", 2), ("from t limit ?", 1)],
)
def test_the_number_of_parameters(sql: str, count: int) -> None:
    assert parse(sql).parameters == count


@pytest.mark.parametrize(
    ("sql", "position"),
    [("selec 1", 0), ("select 'é' frm x", 15), ("select é, pg_sleep(1)", 10), ("select * from nosuch('é', 1)", 14)],
)
def test_an_error_says_at_which_character_it_stands(sql: str, position: int) -> None:
    with pytest.raises(QueryError) as raised:
        parse(sql)
    assert raised.value.position == position
    assert ("position", str(position)) in raised.value.metadata


def test_a_function_that_is_not_there_is_answered_with_names_that_are() -> None:
    with pytest.raises(QueryError) as raised:
        parse("select uper('x')")
    assert raised.value.hint == "did you mean one of `upper`, `power`"
    with pytest.raises(QueryError) as excluded:
        parse("select * from read_text('x')")
    assert excluded.value.hint == "it reads files"
    assert dict(excluded.value.metadata)["function"] == "read_text"


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 199 + "1" + ")" * 199,
        "select " + "not " * 190 + "true",
        "select 1" + " + 1" * 190,
        "select true" + " and true" * 10_000,
        "select true" + " or true" * 10_000,
        "select 1" + " union all select 1" * 2_000,
        "select 1 in (" + ", ".join(map(str, range(20_000))) + ")",
        "select " + ", ".join(["1"] * 20_000),
        "select case when 1 = 1 then 1 " + "when 2 = 2 then 2 " * 2_000 + "end",
        "select " + ", ".join(["case when true then 1 end"] * 1_000),
        "select '" + "(" * 10_000 + "'",
        'select 1 as "' + "(" * 5_000 + '"',
        "select 1 /* " + "(" * 10_000 + " */ -- " + "[" * 10_000,
        "select $$" + "(" * 10_000 + "$$",
        "select " + " is null and ".join(["name"] * 300) + " is null from t",
        "values " + ", ".join(["(1, 'x')"] * 5_000),
    ],
    ids=range(16),
)
def test_long_texts_that_are_not_deep_are_parsed(sql: str) -> None:
    parse(sql)


@pytest.mark.parametrize("levels", [201, 205, 300])
def test_more_than_two_hundred_levels_are_too_deep(levels: int) -> None:
    for sql in (
        "select " + "(" * levels + "1" + ")" * levels,
        "select 1" + " + 1" * levels,
        "select " + "- " * levels + "1",
    ):
        with pytest.raises(PenstockError) as raised:
            parse(sql)
        assert raised.value.reason is Reason.SQL_TOO_DEEP


def test_depth_is_checked_by_tokens_before_anything_recursive_reads_the_text() -> None:
    for opening in ("@ ", "with a as (", "(", "[", "{'a': ", "case when "):
        with pytest.raises(PenstockError) as raised:
            nesting.check("select " + opening * 20_000)
        assert raised.value.reason is Reason.SQL_TOO_DEEP


def test_a_semicolon_at_the_end_is_no_second_statement() -> None:
    for sql in ("select 1;", "select 1 ; ;", "select 1; -- end", "select ';'; /* ; */"):
        assert parse(sql).tables == ()


def test_the_limit_of_recursion_is_left_as_it_was() -> None:
    import sys

    before = sys.getrecursionlimit()
    parse("select 1")
    assert sys.getrecursionlimit() == before


def test_kinds_of_nodes_that_nobody_looked_at_are_refused() -> None:
    from penstock_server.engines.duckdb.tree import Tree

    for node in (
        {"type": "NEW_NODE", "cte_map": {"map": []}},
        {"type": "NEW_REF", "alias": "", "query_location": 0},
        {"class": "NEW_EXPRESSION", "type": "X"},
    ):
        with pytest.raises(QueryError) as raised:
            Tree("").walk({"node": node})
        assert raised.value.reason is Reason.SQL_NOT_READ_ONLY


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("select (1", 7),
        ("select (1 + [2)", 14),
        ("select 1)", 8),
        ("select 'é' || {'a': 1", 14),
        ("select (select 1 from (select 2", 22),
        ("with a as (" * 5, 54),
    ],
)
def test_a_bracket_without_a_counterpart_is_found_before_the_engine_looks_for_it(sql: str, position: int) -> None:
    with pytest.raises(QueryError) as raised:
        nesting.check(sql)
    assert raised.value.reason is Reason.SQL_SYNTAX
    assert raised.value.position == position


@pytest.mark.parametrize("body", ["as (", "as materialized (", "as not materialized (", "(x) as (", "AS\n("])
def test_common_tables_within_common_tables_end_at_five_levels(body: str) -> None:
    def nested(levels: int) -> str:
        return f"with a {body}" * levels + "select 1 as x" + ") select * from a" * levels

    parse(nested(5))
    with pytest.raises(PenstockError) as raised:
        parse(nested(6))
    assert raised.value.reason is Reason.SQL_TOO_DEEP
    assert raised.value.metadata == (("limit", "common_table_depth"), ("value", "5"))


def test_many_common_tables_beside_each_other_are_parsed() -> None:
    listed = ", ".join(f"a{number} as (select {number} as x)" for number in range(300))
    parse(f"with {listed} select * from a299")

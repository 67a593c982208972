"""Masks in the engine: each against an independent model over hostile values, and the golden bytes of the vectors."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from penstock_server.engines.duckdb import instance, printing
from penstock_server.engines.duckdb.mask_printing import MaskedCell
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.conversions import always_converts
from penstock_server.model.decision import TableDecision
from penstock_server.model.masks import MaskKey
from penstock_server.model.request import RequestFacts
from penstock_server.model.secret import Secret
from penstock_server.model.statement_masks import for_statement, new_salt
from penstock_server.policy.evaluation import decide
from support import mask_model
from support.policies import NOW, bind_policy, column_type, name_of, principal, table

VECTORS = Path(__file__).parents[2] / "vectors" / "policy" / "masks.yaml"
KEY = "0123456789abcdef0123456789abcdef"
SALT = MaskKey(mark="m", secret=Secret("a salt of one statement, as it were"))

TEXTS = (
    *("", "a", "7", "abcd", "abcde", "4111-1111-1111-4444", "prashant010696@gmail.com", "(020) 79,46.0-1@"),
    *(
        "e\u0301e\u0301e\u0301",
        "\U0001f926\U0001f3fc\u200d\u2642\ufe0fx12",
        "\n\t \r",
        "x'y\"z\\",
        "\u0663\u2460\uff11",
    ),
    *("\u202eabc", "\ufeffbom", "\U0010ffff\ud7ff\ue000", "a\0b\0c\0d\0", "****", "nnnnxxxx", "%_", "ab" * 5_000),
)
_INTEGERS = {
    f"{sign}{name}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, bits in (("TINYINT", 8), ("SMALLINT", 16), ("INTEGER", 32), ("BIGINT", 64), ("HUGEINT", 128))
    for sign in ("", "U")
}
_DAYS = ("1970-01-01", "2024-02-29", "2024-07-15", "1969-12-31", "9999-12-31", "0001-01-01", "0044-03-15 (BC)")
_TIMES = (
    *("2024-07-15 23:59:59.999999", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59"),
    *("0044-03-15 (BC) 12:00:00", "290309-12-22 (BC) 00:00:00", "290308-01-01 (BC) 00:00:00", "infinity", "-infinity"),
    "294247-01-10 04:00:54.775806",
)
VALUES: dict[str, tuple[str, ...]] = {
    "VARCHAR": TEXTS,
    **{
        kind: tuple(
            str(n) for n in sorted({low, low + 1, *(() if low == 0 else (-1, -99)), 0, 1, 7, 99, high - 1, high})
        )
        for kind, (low, high) in _INTEGERS.items()
    },
    "DECIMAL(10,2)": ("0.00", "-0.01", "1.25", "-1.25", "99999999.99", "-99999999.99", "0.50"),
    "DECIMAL(38,0)": ("0", "7", "-7", "9" * 38, "-" + "9" * 38),
    "DECIMAL(38,10)": ("0.0000000001", "-9999999999999999999999999999.9999999999", "1.0000000000"),
    "DOUBLE": ("nan", "inf", "-inf", "-0.0", "0.1", "5e-324", "1.7976931348623157e308", "-2.5", "1234.5678", "-999.9"),
    "FLOAT": ("nan", "inf", "-inf", "-0.0", "0.1", "1e-45", "3.4028235e38", "-2.5", "1234.5678", "16777217"),
    "BOOLEAN": ("true", "false"),
    "DATE": (*_DAYS, "infinity", "-infinity", "5877642-06-25 (BC)", "5877642-07-01 (BC)", "5881580-07-10"),
    "TIMESTAMP": _TIMES,
    "TIMESTAMP_S": ("2024-07-15 23:59:59", "infinity", "-infinity", "294247-01-10 04:00:54", "1677-01-01 00:00:00"),
    "TIMESTAMP_MS": (
        "2024-07-15 23:59:59.999",
        "infinity",
        "-infinity",
        "294247-01-10 04:00:54",
        "0001-01-01 00:00:00",
    ),
    "TIMESTAMP_NS": (
        *("2024-07-15 23:59:59.999999999", "infinity", "-infinity", "1677-09-22 00:00:00", "1677-10-01 00:00:00"),
        *("1678-01-01 00:00:00", "2262-04-11 23:47:16.854775806"),
    ),
    "TIMESTAMP WITH TIME ZONE": tuple(text if "inf" in text else f"{text}+00" for text in _TIMES),
    "BLOB": ("", "00", "ff" * 40),
}


def _texts(*forms: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    return [(form, "VARCHAR") for form in forms]


CASES: list[tuple[dict[str, Any], str]] = [
    *_texts({"builtin": "mask-alphanum"}, {"builtin": "show-first-4"}, {"builtin": "show-last-4"}),
    *_texts({"builtin": "hash", "key": "env:PENSTOCK_TEST_MASK_KEY"}),
    *_texts(
        {"builtin": "partial", "keep_last": 4},
        {"builtin": "partial", "keep_first": 1, "with": "#"},
        {"builtin": "partial", "keep_first": 2, "keep_last": 3, "with": "'"},
        {"builtin": "partial", "keep_first": 1000, "keep_last": 1000},
    ),
    *[
        ({"builtin": name}, kind)
        for name in ("null", "replace-with-null", "redact", "mask-to-fixed-value")
        for kind in VALUES
        if kind != "BLOB" or name.endswith("null")
    ],
    *[
        ({"builtin": name}, kind)
        for name in ("year", "month", "truncate-to-year", "truncate-to-month")
        for kind in VALUES
        if kind.startswith(("DATE", "TIMESTAMP"))
    ],
    *[({"builtin": "round", "to": 2}, kind) for kind in _INTEGERS],
    *[({"builtin": "round", "to": 100}, kind) for kind in _INTEGERS],
    *[({"builtin": "round", "to": to}, kind) for to in (3, 0.5) for kind in ("DECIMAL(10,2)", "DOUBLE", "FLOAT")],
    *[({"builtin": "round", "to": 1000}, kind) for kind in ("DOUBLE", "FLOAT", "DECIMAL(38,10)", "DECIMAL(38,0)")],
    *[
        ({"builtin": name}, kind)
        for name in ("sha-256-global", "sha-256-query-local")
        for kind in ("VARCHAR", "INTEGER", "BIGINT", "BLOB")
    ],
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression of type `shown` on a column of `kind`; `model` gives the text of what it shows of a text."""

    text: str
    shown: str
    kind: str
    model: Callable[[str], str | None]
    of_null: str | None = None


def _of_text(text: str, model: Callable[[str], str | None]) -> Expression:
    return Expression(text=text, shown="varchar", kind="VARCHAR", model=model)


def _age(day: str) -> str:
    old = day in {"1970-01-01", "1969-12-31", "0001-01-01", "-infinity"} or "BC" in day
    return "old" if old else day[:4]


EXPRESSIONS = (
    _of_text("'***' || right(value, 4)", lambda v: "***" + v[-4:]),
    _of_text("left(value, 2) || '-' || right(value, 0)", lambda v: v[:2] + "-"),
    _of_text("substring(value, 2, 3)", lambda v: v[1:4]),
    _of_text("substring(value, 3)", lambda v: v[2:]),
    _of_text("left(right(value, 3), 1)", lambda v: v[-3:][:1]),
    _of_text("left(value, 1) || CAST(length(value) AS VARCHAR)", lambda v: v[:1] + str(len(v))),
    _of_text("upper(left(value, 1)) || lower(substring(value, 2))", lambda v: v[:1].upper() + v[1:].lower()),
    _of_text("CASE WHEN value LIKE '%@%' THEN 'at' ELSE value END", lambda v: "at" if "@" in v else v),
    _of_text(
        "CASE WHEN value IN ('a', '') THEN NULL WHEN value >= 'n' THEN 'late' END",
        lambda v: None if v in {"a", ""} or v < "n" else "late",
    ),
    Expression(text="length(CAST(value AS VARCHAR))", shown="bigint", kind="BIGINT", model=lambda v: str(len(v))),
    Expression(
        text="'…' || right(CAST(value AS VARCHAR), 2)", shown="varchar", kind="INTEGER", model=lambda v: "…" + v[-2:]
    ),
    Expression(
        text="CASE WHEN value > 100 THEN 100 WHEN value < 0 THEN -1 ELSE value END",
        shown="integer",
        kind="INTEGER",
        model=lambda v: str(max(-1, min(100, int(v)))),
    ),
    Expression(
        text="CASE WHEN value BETWEEN 0 AND 9 THEN value ELSE -1 END",
        shown="bigint",
        kind="INTEGER",
        model=lambda v: v if 0 <= int(v) <= 9 else "-1",
        of_null="-1",
    ),
    Expression(
        text="CASE WHEN value < DATE '2000-01-01' THEN 'old' ELSE left(CAST(value AS VARCHAR), 4) END",
        shown="varchar",
        kind="DATE",
        model=_age,
    ),
    Expression(
        text="CASE WHEN value = 0.5 THEN 'half' ELSE 'other' END",
        shown="varchar",
        kind="DOUBLE",
        model=lambda v: "half" if v == "0.5" else "other",
        of_null="other",
    ),
    Expression(
        text="CASE WHEN value >= 0 THEN 'up' WHEN value < 0 THEN 'down' ELSE 'neither' END",
        shown="varchar",
        kind="DOUBLE",
        model=lambda v: "neither" if v == "nan" else "up" if float(v) >= 0 else "down",
        of_null="neither",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Lake:
    """A database with a table for each type: `row`, and `x` with every value and NULL."""

    file: Path
    connection: duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    file = tmp_path_factory.mktemp("masks") / "lake.duckdb"
    writer = duckdb.connect(str(file))
    writer.execute("SET TimeZone = 'UTC'")
    for number, (kind, values) in enumerate(VALUES.items()):
        writer.execute(f"CREATE TABLE t{number} (row INTEGER, x {kind})")
        cast = "unhex($1)" if kind == "BLOB" else f"CAST($1 AS {kind})"
        for row, value in enumerate([*values, None]):
            writer.execute(f"INSERT INTO t{number} SELECT {row}, {cast}", [value])
    writer.close()
    return Lake(file=file, connection=instance.open_reader(memory_bytes=1 << 29, database=file))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", KEY)


def _decision(form: dict[str, Any], kind: str, folder: Path, rows: str = "") -> TableDecision:
    name = f"lake.main.t{list(VALUES).index(kind)}"
    mask = json.dumps({"rank": 1, **form}, ensure_ascii=False)
    grant = f"{{name: g, principals: [everyone], resource: {name}, permissions: [SELECT], masks: {{x: m}}{rows}}}"
    text = f"version: 1\nmasks:\n  m: {mask}\ngrants:\n  - {grant}\n"
    policy = bind_policy(folder, text, table(name, {"row": "INTEGER", "x": kind}))
    outcome = decide(policy, principal(), name_of(name), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome


def _read(lake: Lake, decision: TableDecision, *, salt: MaskKey = SALT) -> list[str | None]:
    """Give the text of `x` in the order of `row`, of a BLOB its hex."""
    governed = for_statement(decision, salt).table
    name = governed.name.table
    relation = DatabaseTable(file=lake.file, schema="main", table=name)
    statement = printing.source_statement(governed, ("row", "x"), relation)
    shown = "lower(hex(x))" if governed.columns[1].column.type.sql == "BLOB" else "CAST(x AS VARCHAR)"
    found = lake.connection.sql(f"SELECT row, {shown}, typeof(x) FROM ({statement}) ORDER BY row").fetchall()
    assert {kind for _, _, kind in found} == {governed.columns[1].column.type.sql}
    return [text for _, text, _ in found]


def _alike(kind: str, text: str | None) -> Any:
    """Floats as numbers with their sign, everything else as its text."""
    if text is None or kind not in {"FLOAT", "DOUBLE"}:
        return text
    number = float(text)
    if kind == "FLOAT" and math.isfinite(number):
        number = struct.unpack("<f", struct.pack("<f", number))[0]
    return number, math.copysign(1, number)


@pytest.mark.parametrize(("form", "kind"), CASES, ids=[f"{json.dumps(form)} on {kind}" for form, kind in CASES])
def test_a_mask_shows_what_the_model_shows(form: dict[str, Any], kind: str, lake: Lake, tmp_path: Path) -> None:
    found = _read(lake, _decision(form, kind, tmp_path))
    values = (*VALUES[kind], None)
    expected = [mask_model.shows(form, kind, value, key=KEY, salt=SALT.secret.reveal()) for value in values]
    assert [_alike(kind, text) for text in found] == [_alike(kind, text) for text in expected]


@pytest.mark.parametrize("case", EXPRESSIONS, ids=[case.text for case in EXPRESSIONS])
def test_an_expression_shows_what_it_says(case: Expression, lake: Lake, tmp_path: Path) -> None:
    found = _read(lake, _decision({"expression": case.text, "type": case.shown}, case.kind, tmp_path))
    assert found == [*map(case.model, VALUES[case.kind]), case.of_null]


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "BLOB"])
def test_a_clear_cell_beside_a_mask_of_text_is_the_text_of_its_value(kind: str, lake: Lake, tmp_path: Path) -> None:
    """The clear branch is converted: no value of any type may make that fail."""
    form = {"expression": "'hidden'", "type": "varchar"}
    decision = _decision(form, kind, tmp_path, rows=', rows: "row = 0"')
    both = _decision_of_two(form, kind, tmp_path)
    assert _read(lake, decision) == ["hidden"]
    if kind == "VARCHAR":
        assert _read(lake, both) == ["hidden", *TEXTS[1:], None]
        return
    found = _read(lake, both)
    clear = lake.connection.sql(
        f"SELECT CAST(x AS VARCHAR) FROM source.main.t{list(VALUES).index(kind)} WHERE row > 0 ORDER BY row"
    ).fetchall()
    assert found == ["hidden", *(text for (text,) in clear)]


def _decision_of_two(form: dict[str, Any], kind: str, folder: Path) -> TableDecision:
    """The first row masked, all others clear."""
    name = f"lake.main.t{list(VALUES).index(kind)}"
    mask = json.dumps({"rank": 1, **form}, ensure_ascii=False)
    head = f"principals: [everyone], resource: {name}, permissions: [SELECT]"
    text = (
        f"version: 1\nmasks:\n  m: {mask}\ngrants:\n  - {{name: g, {head}, masks: {{x: m}}}}\n"
        f'  - {{name: h, {head}, rows: "row > 0"}}\n'
    )
    policy = bind_policy(folder, text, table(name, {"row": "INTEGER", "x": kind}))
    outcome = decide(policy, principal(), name_of(name), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome


@pytest.mark.parametrize("kind", [kind for kind in VALUES if any(of == kind for _, of in CASES)])
def test_a_value_alone_in_its_table_makes_no_mask_fail(kind: str, tmp_path: Path) -> None:
    """What the engine computes from the least and the greatest value of a column, before it reads, is an attack too."""
    masks = [
        for_statement(_decision(form, kind, tmp_path), SALT).table.columns[1].cases[0].mask
        for form, of in CASES
        if of == kind
    ]
    cell = MaskedCell(sql="x", source=column_type(kind), test=lambda _: "TRUE")
    shown = ", ".join(f"CAST({cell.masked(mask)} AS VARCHAR)" for mask in masks if mask is not None)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    for value in VALUES[kind]:
        cast = "unhex($1)" if kind == "BLOB" else f"CAST($1 AS {kind})"
        connection.execute(f"CREATE OR REPLACE TABLE t AS SELECT {cast} AS x, 1 AS row", [value])
        for where in ("", " WHERE row = 2"):
            assert len(connection.sql(f"SELECT {shown} FROM t{where}").fetchall()) == (not where)


@pytest.mark.parametrize("kind", list(VALUES))
def test_what_always_converts_never_fails_and_loses_nothing(kind: str, lake: Lake) -> None:
    source = column_type(kind)
    targets = [target for target in VALUES if target != kind and always_converts(source, column_type(target))]
    assert targets or kind in {"VARCHAR", "BLOB"}
    for target in targets:
        # Text is compared as text: `CAST` back would take several texts for one value.
        back = "CAST(x AS VARCHAR)" if target == "VARCHAR" else f"CAST(CAST(x AS {target}) AS {kind})"
        same = f"{back} IS NOT DISTINCT FROM {'CAST(x AS VARCHAR)' if target == 'VARCHAR' else 'x'}"
        name = f"source.main.t{list(VALUES).index(kind)}"
        assert lake.connection.sql(f"SELECT bool_and({same}), count(CAST(x AS {target})) FROM {name}").fetchall() == [
            (True, len(VALUES[kind]))
        ]


def test_what_may_fail_or_round_does_not_always_convert() -> None:
    for source, target in (
        *(("VARCHAR", "INTEGER"), ("BIGINT", "INTEGER"), ("INTEGER", "UINTEGER"), ("UINTEGER", "INTEGER")),
        *(("BIGINT", "DOUBLE"), ("DOUBLE", "FLOAT"), ("DATE", "TIMESTAMP"), ("TIMESTAMP_S", "TIMESTAMP")),
        *(("DECIMAL(38,10)", "DECIMAL(10,2)"), ("BLOB", "VARCHAR"), ("INTEGER", "FLOAT"), ("INTEGER", "DECIMAL(10,2)")),
        ("STRUCT(a INTEGER)", "VARCHAR"),
    ):
        assert not always_converts(column_type(source), column_type(target)), (source, target)


def test_the_fields_of_a_struct_are_masked_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "structs.duckdb"
    writer = duckdb.connect(str(file))
    kind = "STRUCT(city VARCHAR, zip INTEGER, geo STRUCT(lat DOUBLE, day DATE))"
    writer.execute(f"CREATE TABLE t (row INTEGER, s {kind})")
    for row, (city, number, lat) in enumerate([("Berlin", 10115, 52.52), (None, 7, -0.5), ("Rom", None, None)]):
        geo = {"lat": lat, "day": date(2024, 7, 15)}
        writer.execute(f"INSERT INTO t SELECT {row}, CAST($1 AS {kind})", [{"city": city, "zip": number, "geo": geo}])
    writer.close()
    text = """version: 1
masks:
  tail: {rank: 1, builtin: partial, keep_last: 2}
  size: {rank: 2, expression: "CASE WHEN value >= 1000 THEN 'large' WHEN value < 10 THEN 'small' END", type: varchar}
  tens: {rank: 3, builtin: round, to: 10}
  year: {rank: 4, builtin: year}
  local: {rank: 5, builtin: sha-256-query-local}
grants:
  - name: g
    principals: [everyone]
    resource: lake.main.t
    permissions: [SELECT]
    masks: {s.city: CITY, s.zip: size, s.geo.lat: tens, s.geo.day: year}
"""
    schema = table("lake.main.t", {"row": "INTEGER", "s": kind})
    connection = instance.open_reader(memory_bytes=1 << 28, database=file)

    def read(city: str) -> list[Any]:
        policy = bind_policy(tmp_path, text.replace("CITY", city), schema)
        outcome = decide(policy, principal(), name_of("lake.main.t"), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        governed = for_statement(outcome, SALT).table
        relation = DatabaseTable(file=file, schema="main", table="t")
        rows = connection.sql(printing.source_statement(governed, ("row", "s"), relation)).fetchall()
        return [shown for _, shown in sorted(rows)]

    year = date(2024, 1, 1)
    assert read("tail") == [
        {"city": "****in", "zip": "large", "geo": {"lat": 50.0, "day": year}},
        {"city": None, "zip": "small", "geo": {"lat": 0.0, "day": year}},
        {"city": "*om", "zip": None, "geo": {"lat": None, "day": year}},
    ]
    salted = mask_model.digest("Berlin", "VARCHAR", SALT.secret.reveal().encode())
    assert [shown["city"] for shown in read("local")][:2] == [salted, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    id: str
    source: str
    mask: dict[str, Any]
    column: str
    shows: list[list[str | None]]


GOLDEN = [Vector(**case) for case in yaml.safe_load(VECTORS.read_text())]


@pytest.mark.parametrize("case", GOLDEN, ids=[case.id for case in GOLDEN])
def test_a_mask_shows_the_bytes_of_the_vector(case: Vector, tmp_path: Path) -> None:
    file = tmp_path / "golden.duckdb"
    writer = duckdb.connect(str(file))
    name = f"t{list(VALUES).index(case.column)}"
    writer.execute(f"CREATE TABLE {name} (row INTEGER, x {case.column})")
    cast = "unhex($1)" if case.column == "BLOB" else f"CAST($1 AS {case.column})"
    for row, (value, _) in enumerate(case.shows):
        writer.execute(f"INSERT INTO {name} SELECT {row}, {cast}", [value])
    writer.close()
    lake = Lake(file=file, connection=instance.open_reader(memory_bytes=1 << 28, database=file))
    assert _read(lake, _decision(case.mask, case.column, tmp_path)) == [shown for _, shown in case.shows]


def test_every_builtin_mask_has_a_golden_vector() -> None:
    known = {form["builtin"] for form, _ in CASES}
    assert {case.mask["builtin"] for case in GOLDEN if "builtin" in case.mask} == known
    assert all(case.shows and len({case.id for case in GOLDEN}) == len(GOLDEN) for case in GOLDEN)


def test_a_mask_that_lives_for_one_statement_is_not_printed_without_its_salt(lake: Lake, tmp_path: Path) -> None:
    decision = _decision({"builtin": "sha-256-query-local"}, "VARCHAR", tmp_path)
    relation = DatabaseTable(file=lake.file, schema="main", table=decision.table.name.table)
    with pytest.raises(ValueError, match="no salt"):
        printing.source_statement(decision.table, ("x",), relation)


def test_two_statements_share_neither_digests_nor_a_fingerprint(lake: Lake, tmp_path: Path) -> None:
    decision = _decision({"builtin": "sha-256-query-local"}, "VARCHAR", tmp_path)
    one, other = new_salt(), new_salt()
    shown, again, elsewhere = (_read(lake, decision, salt=salt) for salt in (one, one, other))
    assert shown == again
    assert not set(shown[:-1]) & set(elsewhere[:-1])
    prints = {for_statement(decision, salt).fingerprint for salt in (one, other)}
    assert len(prints | {decision.fingerprint}) == 3
    assert for_statement(decision, one) == for_statement(decision, one)


def test_a_decision_without_such_a_mask_keeps_its_fingerprint(tmp_path: Path) -> None:
    decision = _decision({"builtin": "sha-256-global"}, "VARCHAR", tmp_path)
    assert for_statement(decision, new_salt()) is decision

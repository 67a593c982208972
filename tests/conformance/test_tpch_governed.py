"""The 22 TPC-H queries and folded ones under policies, each equal to the same over a physically filtered copy.

The policies exclude columns, mask them, filter rows and restrict them by rules, on the tables of facts as on those of
dimensions. The copy is made by hand-written SQL, which knows nothing of policies. The data is small and random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb import binding, canonical, inspection, instance, printing, relations
from penstock_server.engines.duckdb.extracts.layout import SLOTS
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from support import engine_processes as processes
from support.generated_answers import extract, release
from support.governed_worlds import Stream
from support.policies import NOW, load_policy, principal
from support.sealed import Table, ask, shapes

VECTORS = Path(__file__).parents[1] / "vectors/query"
QUERIES = dict(part.split("\n", 1) for part in (VECTORS / "tpch.sql").read_text().split("-- name: ")[1:])
FOLDED: dict[str, str] = yaml.safe_load((VECTORS / "folded.yaml").read_text())
TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")
QUOTA = 128 << 20
MEMORY = 256 << 20

POLICY = """\
version: 1
masks:
  last-digits: {rank: 1, builtin: partial, keep_last: 2, with: "#"}
  coarse: {rank: 2, builtin: round, to: 100}
  no-comment: {rank: 3, builtin: redact}
  month: {rank: 4, builtin: truncate-to-month}
grants:
  - name: region
    principals: [everyone]
    resource: lake.tpch.region
    permissions: [SELECT]
    columns: {exclude: [r_comment]}
  - {name: nation, principals: [everyone], resource: lake.tpch.nation, permissions: [SELECT], rows: "n_nationkey <> 8"}
  - name: supplier
    principals: [everyone]
    resource: lake.tpch.supplier
    permissions: [SELECT]
    masks: {s_phone: last-digits, s_address: no-comment}
  - name: part
    principals: [everyone]
    resource: lake.tpch.part
    permissions: [SELECT]
    rows: "p_size < 48 OR p_brand LIKE 'Brand#1%'"
  - name: partsupp
    principals: [everyone]
    resource: lake.tpch.partsupp
    permissions: [SELECT]
    columns: {exclude: [ps_comment]}
  - name: customer
    principals: [everyone]
    resource: lake.tpch.customer
    permissions: [SELECT]
    columns: {exclude: [c_acctbal]}
  - name: customer-balances-of-most-segments
    principals: [everyone]
    resource: lake.tpch.customer
    permissions: [SELECT]
    columns: {include: [c_acctbal, c_custkey]}
    rows: "c_mktsegment IN ('BUILDING', 'MACHINERY')"
  - name: orders
    principals: [everyone]
    resource: lake.tpch.orders
    permissions: [SELECT]
    masks: {o_clerk: no-comment}
    rows: "o_orderkey >= 30"
  - name: lineitem
    principals: [everyone]
    resource: lake.tpch.lineitem
    permissions: [SELECT]
    masks: {l_shipinstruct: no-comment, l_comment: no-comment}
    rows: "l_linenumber < 3 OR l_quantity > 10"
row_rules:
  - resource: lake.tpch.lineitem
    name: modes
    status: enabled
    permission_policy: GRANT_ACCESS
    rules: {file: modes.csv}
  - resource: lake.tpch.supplier
    name: suppliers
    status: enabled
    permission_policy: GRANT_ACCESS
    rules: {file: suppliers.csv}
"""
MODES = 'UserName,l_shipmode,l_returnflag\nalice,"MAIL,SHIP,AIR",\nalice,RAIL,"R,N"\nbob,RAIL,\n'
SUPPLIERS = 'UserName,s_comment\nalice,"fine,Customer Complaints"\nbob,fine\n'

COPY = {
    "region": "SELECT r_regionkey, r_name FROM region",
    "nation": "SELECT * FROM nation WHERE n_nationkey <> 8",
    "supplier": "SELECT * REPLACE ('[redacted]' AS s_address, CASE WHEN length(s_phone) > 2 "
    "THEN repeat('#', length(s_phone) - 2) || right(s_phone, 2) ELSE repeat('#', length(s_phone)) END AS s_phone) "
    "FROM supplier",
    "part": "SELECT * FROM part WHERE p_size < 48 OR p_brand LIKE 'Brand#1%'",
    "partsupp": "SELECT * EXCLUDE (ps_comment) FROM partsupp",
    "customer": "SELECT * REPLACE (CASE WHEN c_mktsegment IN ('BUILDING', 'MACHINERY') THEN c_acctbal END "
    "AS c_acctbal) FROM customer",
    "orders": "SELECT * REPLACE ('[redacted]' AS o_clerk) FROM orders WHERE o_orderkey >= 30",
    "lineitem": "SELECT * REPLACE ('[redacted]' AS l_shipinstruct, '[redacted]' AS l_comment) FROM lineitem "
    "WHERE (l_linenumber < 3 OR l_quantity > 10) "
    "AND (l_shipmode IN ('MAIL', 'SHIP', 'AIR') OR (l_shipmode = 'RAIL' AND l_returnflag IN ('R', 'N')))",
}
"""What the policy permits alice, in SQL written by hand."""


EVERY = {
    **{name: sql.rstrip().rstrip(";") for name, sql in QUERIES.items()},
    **{name: sql.format(t="lake.tpch.lineitem", o="lake.tpch.orders") for name, sql in FOLDED.items()},
}


@pytest.fixture(scope="module")
def copy() -> duckdb.DuckDBPyConnection:
    """DuckDB itself, over a copy of the permitted cells."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute((VECTORS / "tpch_data.sql").read_text())
    connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.tpch")
    for name, sql in COPY.items():
        connection.execute(f"CREATE TABLE lake.tpch.{name} AS {sql}")
    connection.execute("USE lake.tpch")
    return connection


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> CatalogSettings:
    path = tmp_path_factory.mktemp("tpch") / "tpch.duckdb"
    writer = duckdb.connect(str(path), config={"threads": 1})
    writer.execute("CREATE SCHEMA tpch; USE tpch")
    writer.execute((VECTORS / "tpch_data.sql").read_text())
    writer.execute("DROP MACRO chance; DROP MACRO one_of")
    writer.close()
    return CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=path, location=None)


@pytest.fixture(scope="module")
def governed(catalog: CatalogSettings, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, GovernedTable]:
    """The decisions on all tables."""
    reader = instance.open_reader(memory_bytes=MEMORY, database=catalog.path)
    snapshot = CatalogSnapshot(tables=inspection.inspect(reader, catalog))
    reader.close()
    folder = tmp_path_factory.mktemp("policies")
    bound = bind(load_policy(folder, POLICY, modes=MODES, suppliers=SUPPLIERS), snapshot, logins=frozenset())
    found = {}
    for table in TABLES:
        name = TableName(catalog="lake", database="tpch", table=table)
        outcome = decide(bound, principal(), name, facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        found[table] = outcome.table
    return found


@pytest.fixture(scope="module")
def streams(catalog: CatalogSettings, governed: Mapping[str, GovernedTable]) -> Mapping[str, Stream]:
    """What readers give of each table."""
    found = {}
    for name, table in governed.items():
        reader = instance.open_reader(memory_bytes=MEMORY, database=catalog.path)
        columns = tuple(shown.column.name for shown in table.columns)
        statement = printing.source_statement(table, columns, relations.locate(catalog, table.name))
        rows = reader.sql(statement).to_arrow_reader(canonical.FRAME_ROWS)
        schema = canonical.canonical_schema(rows.schema).serialize().to_pybytes()
        found[name] = Stream(schema=schema, messages=tuple(canonical.batches(rows, message_bytes=None)))
        reader.close()
    return found


def _columns(table: GovernedTable) -> tuple[tuple[str, str], ...]:
    return tuple((shown.column.name, shown.column.type.sql) for shown in table.columns)


@pytest.fixture(scope="module")
def tables(governed: Mapping[str, GovernedTable], streams: Mapping[str, Stream]) -> tuple[Table, ...]:
    return tuple(
        Table(name=str(table.name), columns=_columns(table), rows=streams[name].batches().read_all())
        for name, table in governed.items()
    )


@pytest.fixture(scope="module")
def over_extracts(tables: tuple[Table, ...], streams: Mapping[str, Stream]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A sealed instance over extracts of all tables."""
    connection = instance.open_sealed(memory_bytes=MEMORY)
    declaration = binding.declare(connection, shapes(tables, [(name,) for name in TABLES]))
    held = []
    for slot, table in zip(SLOTS, tables, strict=False):
        columns = tuple(ShapedColumn(name=name, sql_type=kind) for name, kind in table.columns)
        shape = TableShape(name=table.table_name, references=(), columns=columns)
        held.append(extract(shape, streams[table.table_name.table], slot))
        rows = binding.attach(connection, declaration, table.table_name, [name for name, _ in table.columns], slot)
        assert rows == table.rows.num_rows
    yield connection
    connection.close()
    for slot, _ in zip(SLOTS, held, strict=False):
        release(slot)


def _equal(given: pa.Table, copy: duckdb.DuckDBPyConnection, sql: str) -> None:
    expected = copy.sql(sql).to_arrow_table()
    assert expected.num_rows > 0, "a query without an answer compares nothing"
    assert given.schema.names == expected.schema.names
    assert given.schema.types == expected.schema.types
    assert given.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("name", EVERY)
def test_a_query_equals_the_same_over_a_filtered_copy_inline(
    copy: duckdb.DuckDBPyConnection, tables: tuple[Table, ...], name: str
) -> None:
    answer = ask(EVERY[name], tables=tables)
    assert answer.error is None, answer.error
    _equal(answer.table, copy, EVERY[name])


@pytest.mark.parametrize("name", EVERY)
def test_a_query_equals_the_same_over_a_filtered_copy_over_extracts(
    copy: duckdb.DuckDBPyConnection, over_extracts: duckdb.DuckDBPyConnection, name: str
) -> None:
    _equal(over_extracts.sql(EVERY[name]).to_arrow_table(), copy, EVERY[name])


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_the_copy_and_the_policies_take_something_away(
    copy: duckdb.DuckDBPyConnection, tables: tuple[Table, ...], table: str
) -> None:
    (given,) = (one.rows for one in tables if one.table_name.table == table)
    assert given.to_pylist() == copy.sql(f"FROM lake.tpch.{table}").to_arrow_table().to_pylist()
    whole = copy.sql(f"FROM memory.main.{table}").to_arrow_table()
    assert given.to_pylist() != whole.to_pylist()


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_query_equals_the_same_over_a_filtered_copy_through_the_engine(
    zygote: processes.Zygote,
    catalog: CatalogSettings,
    governed: Mapping[str, GovernedTable],
    copy: duckdb.DuckDBPyConnection,
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        for fingerprint in (None, "alice", "alice"):
            for sql in EVERY.values():
                async with engine.session(processes.limits(timeout=60)) as session:
                    references = await session.parse(sql)
                    resolved = [
                        ResolvedReference(reference=one, table=governed[one.parts[-1]], fingerprint=fingerprint)
                        for one in references
                    ]
                    bound = await session.bind(resolved, ())
                    await session.supply()
                    schema = pa.ipc.read_schema(pa.py_buffer(bound.schema))
                    batches = [
                        pa.ipc.read_record_batch(pa.py_buffer(message), schema) async for message in session.run()
                    ]
                _equal(pa.Table.from_batches(batches, schema), copy, sql)
        assert len(engine.extracts.kept) == len(TABLES)

"""The 99 TPC-DS queries under a policy, each equal to the same over a physically filtered copy.

Data and texts come from a package on PyPI that holds the extension of an older DuckDB; that runs in an environment of
its own, so this needs the package index and is slow.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import binding, canonical, inspection, instance, parsing, printing, relations
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from support.policies import NOW, load_policy, principal
from support.sealed import Table, shapes

ROOT = Path(__file__).parents[2]
MEMORY = 2 << 30
SCALE = "0.05"

ROWS = {
    "store_sales": "ss_quantity > 2 OR ss_quantity IS NULL",
    "catalog_sales": "cs_quantity > 2 OR cs_quantity IS NULL",
    "web_returns": "wr_return_quantity < 90",
    "date_dim": "d_year BETWEEN 1995 AND 2005",
}
EXCLUDED = {"store_sales": "ss_net_paid_inc_tax", "store": "s_manager", "store_returns": "sr_return_time_sk"}
MASKED = {"customer": "c_email_address", "call_center": "cc_manager"}
CATEGORIES = ("Books", "Children", "Electronics", "Home", "Men", "Music", "Shoes", "Sports", "Women")
RULES = f'UserName,i_category\nalice,"{",".join(CATEGORIES)}"\nbob,Jewelry\n'


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tpcds")
    (folder / "ds").mkdir()
    packages = [f"--with={name}==1.5.5" for name in ("duckdb", "duckdb-extension-tpcds")]
    script = ROOT / "tests/support/tpcds_source.py"
    command = [str(ROOT / ".tools/bin/uv"), "run", "--no-project", *packages, str(script), str(folder / "ds"), SCALE]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return folder


def _policy(tables: tuple[TableSchema, ...]) -> str:
    lines = ["version: 1", "masks: {gone: {rank: 1, builtin: redact}}", "grants:"]
    for schema in tables:
        name = schema.name.table
        parts = [f"name: {name}, principals: [everyone], resource: lake.ds.{name}, permissions: [SELECT]"]
        parts += [f"columns: {{exclude: [{EXCLUDED[name]}]}}"] if name in EXCLUDED else []
        parts += [f"masks: {{{MASKED[name]}: gone}}"] if name in MASKED else []
        parts += [f'rows: "{ROWS[name]}"'] if name in ROWS else []
        lines.append(f"  - {{{', '.join(parts)}}}")
    lines.append("row_rules:\n  - {resource: lake.ds.item, name: categories, status: enabled,")
    lines.append("     permission_policy: GRANT_ACCESS, rules: {file: categories.csv}}")
    return "\n".join(lines)


def _by_hand(folder: Path, table: str) -> str:
    listed = ", ".join(f"'{category}'" for category in CATEGORIES)
    condition = f"i_category IN ({listed})" if table == "item" else ROWS.get(table)
    left_out = f" EXCLUDE ({EXCLUDED[table]})" if table in EXCLUDED else ""
    shown = f" REPLACE ('[redacted]' AS {MASKED[table]})" if table in MASKED else ""
    where = f" WHERE {condition}" if condition else ""
    return f"SELECT *{left_out}{shown} FROM '{folder / 'ds' / table}.parquet'{where}"


def _governed(folder: Path, tables: tuple[TableSchema, ...], work: Path) -> list[GovernedTable]:
    policy = load_policy(work, _policy(tables), categories=RULES)
    bound = bind(policy, CatalogSnapshot(tables=tables), logins=frozenset())
    found = []
    for schema in tables:
        outcome = decide(bound, principal(), schema.name, facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        found.append(outcome.table)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ninety_nine_queries_equal_the_same_over_a_filtered_copy(source: Path, tmp_path: Path) -> None:
    queries: dict[str, str] = json.loads((source / "ds/queries.json").read_text())
    assert len(queries) == 99
    (source / "ds/queries.json").unlink()
    catalog = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=source, location=None)
    inspector = instance.open_reader(memory_bytes=MEMORY, paths=(source,))
    tables = inspection.inspect(inspector, catalog)
    inspector.close()
    copy = duckdb.connect(config={"threads": 1})
    worker = instance.open_sealed(memory_bytes=MEMORY)
    supplied = []
    for governed in _governed(source, tables, tmp_path):
        name = governed.name.table
        copy.execute(f"CREATE TABLE {name} AS {_by_hand(source, name)}")
        place = relations.locate(catalog, governed.name)
        reader = instance.open_reader(memory_bytes=MEMORY, paths=place.readable)
        columns = tuple(shown.column.name for shown in governed.columns)
        rows = reader.sql(printing.source_statement(governed, columns, place)).to_arrow_table()
        types = tuple((shown.column.name, shown.column.type.sql) for shown in governed.columns)
        supplied.append(Table(name=str(governed.name), columns=types, rows=rows))
        assert rows.num_rows == copy.sql(f"FROM {name}").count("*").fetchall()[0][0], name
        reader.close()
    declaration = binding.declare(worker, shapes(supplied, [(one.table_name.table,) for one in supplied]))
    for one in supplied:
        names = [name for name, _ in one.columns]
        binding.publish(worker, declaration, one.table_name, names, one.rows.to_reader())
    answered = 0
    for number, sql in queries.items():
        parsing.parse(worker, sql)
        bound = binding.bind(worker, declaration, sql, ())
        given = worker.sql(sql).to_arrow_table()
        expected = copy.sql(sql).to_arrow_table()
        assert canonical.canonical_schema(given.schema).serialize().to_pybytes() == bound.schema, number
        assert given.schema.types == expected.schema.types, number
        assert given.to_pylist() == expected.to_pylist(), number
        answered += expected.num_rows > 0
    assert answered > 60

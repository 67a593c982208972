"""TPC-H's tables with a policy over them, and the same policy as views that somebody writes by hand.

The data comes from `tpchgen-cli` (PyPI), as Parquet: give the folder that holds `tpch/*.parquet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from support.policies import NOW, load_policy, principal

TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")
VECTORS = Path(__file__).parents[1] / "tests/vectors/query"
QUERIES = {
    name: sql.rstrip().rstrip(";")
    for name, sql in (part.split("\n", 1) for part in (VECTORS / "tpch.sql").read_text().split("-- name: ")[1:])
}
SHAPES = {
    "point lookup": "select l_quantity, l_shipdate from lineitem where l_orderkey = 34567",
    "top-N": "select l_orderkey, l_extendedprice from lineitem order by l_extendedprice desc, l_orderkey limit 20",
    "aggregate": "select l_returnflag, count(*), sum(l_quantity) from lineitem group by l_returnflag order by 1",
}
MODES = ("MAIL", "SHIP", "RAIL", "TRUCK", "FOB", "REG AIR")
_LISTED = ", ".join(f"'{mode}'" for mode in MODES)

ROWS = {"lineitem": f"l_shipmode IN ({_LISTED})", "orders": "o_orderpriority <> '5-LOW'", "part": "p_size < 49"}
EXCLUDED = {"lineitem": "l_comment", "partsupp": "ps_comment"}
RULES = "UserName,l_shipmode\n" + "".join(
    f"person{number},{mode}\n" for number in range(2_000) for mode in ("MAIL", "RAIL")
)


def policy(rows: Mapping[str, str] = ROWS, *, rules: bool = False) -> str:
    """Give the policy's text: filters of rows, columns left out, a mask; with `rules`, rows of lineitem by person."""
    grants = []
    for table in TABLES:
        parts = [f"{{name: {table}, principals: [everyone], resource: lake.tpch.{table}, permissions: [SELECT]"]
        if table in EXCLUDED:
            parts.append(f"columns: {{exclude: [{EXCLUDED[table]}]}}")
        if table in rows and not (rules and table == "lineitem"):
            parts.append(f'rows: "{rows[table]}"')
        if table == "orders":
            parts.append("masks: {o_clerk: gone}")
        grants.append("  - " + ", ".join(parts) + "}")
    text = "version: 1\nmasks: {gone: {rank: 1, builtin: redact}}\ngrants:\n" + "\n".join(grants) + "\n"
    if rules:
        text += (
            "row_rules:\n  - {resource: lake.tpch.lineitem, name: modes, status: enabled, "
            "permission_policy: GRANT_ACCESS, rules: {file: modes.csv}}\n"
        )
    return text


def by_hand(
    folder: Path, storage: str, rows: Mapping[str, str] = ROWS, *, rules: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with one thread over the same source, the policy as the WHERE of a view."""
    connection = duckdb.connect(config={"threads": 1})
    if storage == "native":
        connection.execute(f"ATTACH '{_native(folder)}' AS source (READ_ONLY)")
    for table in TABLES:
        base = f"source.tpch.{table}" if storage == "native" else f"'{folder / 'tpch' / table}.parquet'"
        left_out = f" EXCLUDE ({EXCLUDED[table]})" if table in EXCLUDED else ""
        shown = " REPLACE ('[redacted]' AS o_clerk)" if table == "orders" else ""
        condition = "l_shipmode IN ('MAIL', 'RAIL')" if rules and table == "lineitem" else rows.get(table)
        where = f" WHERE {condition}" if condition else ""
        connection.execute(f"CREATE VIEW {table} AS SELECT *{left_out}{shown} FROM {base}{where}")
    return connection


def _native(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.duckdb")


def make_native(folder: Path) -> None:
    """Write the same tables as a DuckDB file beside the Parquet, if it is not there."""
    if _native(folder).exists():
        return
    writer = duckdb.connect()
    writer.execute(f"ATTACH '{_native(folder)}' AS source")
    writer.execute("CREATE SCHEMA source.tpch")
    for table in TABLES:
        writer.execute(f"CREATE TABLE source.tpch.{table} AS FROM '{folder / 'tpch' / table}.parquet'")
    writer.close()


def catalog(folder: Path, storage: str) -> CatalogSettings:
    """Give the source as a catalog."""
    if storage == "native":
        return CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=_native(folder), location=None)
    return CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=folder, location=None)


async def decisions(
    engine: DuckDbEngine, work: Path, text: str, person: str = "person7"
) -> Mapping[str, TableDecision]:
    """Inspect the catalog and decide all tables for one person."""
    bound = bind(load_policy(work, text, modes=RULES), await engine.inspect(), logins=frozenset())
    found = {}
    for table in TABLES:
        name = TableName(catalog="lake", database="tpch", table=table)
        outcome = decide(bound, principal("person7"), name, facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        found[table] = outcome
    return found

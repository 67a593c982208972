"""The list of functions against the pinned engine: nothing is forgotten, nothing is allowed by accident."""

import duckdb
import pytest
from penstock_server.engines.duckdb import functions, metadata, plans
from penstock_server.engines.duckdb.functions import Verdict


def _engine() -> set[tuple[str, str]]:
    rows = duckdb.connect().execute("SELECT DISTINCT function_type, function_name FROM duckdb_functions()").fetchall()
    return {(str(kind), str(name).lower()) for kind, name in rows}


def test_every_function_of_the_engine_stands_in_exactly_one_family_of_its_kind() -> None:
    astray = {
        (kind, name): [family.name for family in functions.families() if kind in family.kinds and family.holds(name)]
        for kind, name in _engine()
    }
    assert {key: found for key, found in astray.items() if len(found) != 1} == {}


def test_the_list_names_no_function_that_the_engine_does_not_have() -> None:
    names = {name for _, name in _engine()}
    listed = {name for family in functions.families() if family.kinds != {"special"} for name in family.names}
    assert listed - names == set()


def test_an_excluded_family_says_why_and_an_allowed_one_has_no_patterns() -> None:
    for family in functions.families():
        assert bool(family.reason) == (family.verdict is Verdict.EXCLUDED), family.name
        assert family.verdict is Verdict.EXCLUDED or not family.patterns, family.name
        assert family.names or family.patterns, family.name


def test_no_name_is_allowed_in_one_family_and_excluded_in_another_for_the_same_place() -> None:
    for table in (False, True):
        for family in functions.families():
            if family.verdict is Verdict.EXCLUDED and bool(family.kinds & functions.TABLE_KINDS) is table:
                held = [name for name in functions.allowed_names(table=table) if family.holds(name)]
                assert held == [], (family.name, held)


DANGEROUS = [
    "read_parquet",
    "read_csv",
    "read_text",
    "read_blob",
    "glob",
    "parquet_metadata",
    "sniff_csv",
    "query",
    "query_table",
    "getenv",
    "current_setting",
    "nextval",
    "setval",
    "pg_sleep",
    "sleep_ms",
    "write_log",
    "json_execute_serialized_sql",
    "json_serialize_plan",
    "duckdb_secrets",
    "duckdb_settings",
    "arrow_scan",
    "pandas_scan",
    "python_map_function",
    "seq_scan",
    "checkpoint",
    "histogram_values",
    "finalize",
    "combine",
    "pragma_storage_info",
    "which_secret",
    "getvariable",
    "current_query",
]


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_reaches_past_the_tables_is_not_allowed(name: str) -> None:
    assert not functions.is_allowed(name)
    assert not functions.is_allowed(name, table=True)


def test_a_name_that_the_list_does_not_hold_is_not_allowed() -> None:
    for name in ("", "nosuch", "read_parquet2", "collate_xx", "__anything", "ABS"):
        assert not functions.is_allowed(name)
        assert not functions.is_allowed(name, table=True)


def test_the_plan_check_knows_exactly_the_table_functions_that_the_list_allows() -> None:
    allowed = {name.upper() for name in functions.allowed_names(table=True)}
    # `unnest` is an operator in a plan; `SHOW table` is a function there, which cannot be called.
    listing = {name.upper() for name in metadata.FUNCTIONS}
    assert allowed - {"UNNEST"} - listing == plans.TABLE_FUNCTIONS - {"PRAGMA_SHOW"}
    assert listing < metadata.SCANS


def test_every_optimizer_of_the_engine_is_known_to_be_on_or_off_while_binding() -> None:
    rows = duckdb.connect().execute("SELECT name FROM duckdb_optimizers()").fetchall()
    assert {str(name) for (name,) in rows} == {*plans.OTHER_OPTIMIZERS, *plans.PRUNING_OPTIMIZERS}

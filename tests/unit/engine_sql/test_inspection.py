"""What a catalog holds, pinned; and what is refused because it would defeat the policy."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import inspection, instance, relations
from penstock_server.engines.duckdb.relations import DatabaseTable, ParquetFiles
from penstock_server.errors import ConfigurationError
from penstock_server.model.resource import S3Location, TableName
from penstock_server.model.schema import TableSchema, TypeFamily

MEMORY = 128 * 1024 * 1024
PLAIN = pa.table({"id": pa.array([1], pa.int64()), "name": ["x"]})


def lake(path: Path, *, name: str = "lake", location: S3Location | None = None) -> CatalogSettings:
    return CatalogSettings(name=name, kind=CatalogKind.PARQUET, path=path, location=location)


def warehouse(path: Path, *, location: S3Location | None = None) -> CatalogSettings:
    return CatalogSettings(name="ware", kind=CatalogKind.DATABASE, path=path, location=location)


def inspect(catalog: CatalogSettings) -> tuple[TableSchema, ...]:
    if catalog.kind is CatalogKind.DATABASE:
        connection = instance.open_reader(memory_bytes=MEMORY, database=catalog.path)
    else:
        connection = instance.open_reader(memory_bytes=MEMORY, paths=inspection.readable(catalog))
    return inspection.inspect(connection, catalog)


def problems(catalog: CatalogSettings) -> str:
    with pytest.raises(ConfigurationError) as raised:
        inspect(catalog)
    assert all(problem.startswith(f"catalog `{catalog.name}` ({catalog.path}): ") for problem in raised.value.problems)
    return "\n".join(raised.value.problems)


def write(path: Path, table: pa.Table = PLAIN) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def database(path: Path, *statements: str) -> CatalogSettings:
    writer = duckdb.connect(str(path))
    for statement in statements:
        writer.execute(statement)
    writer.close()
    return warehouse(path)


def test_a_folder_of_parquet_is_databases_and_tables(tmp_path: Path) -> None:
    write(tmp_path / "nyc/flights.parquet")
    write(tmp_path / "nyc/trips/2.parquet")
    write(tmp_path / "nyc/trips/1.parquet")
    write(tmp_path / "Other db/odd name.parquet", pa.table({"Ünï": [1.5]}))
    write(tmp_path / "nyc/.hidden.parquet")
    write(tmp_path / "nyc/_unfinished.parquet")
    write(tmp_path / "nyc/trips/.hidden.parquet")
    (tmp_path / ".git").mkdir()
    found = inspect(lake(tmp_path))
    assert [(str(schema.name), [(column.name, column.type.sql) for column in schema.columns]) for schema in found] == [
        ("lake.Other db.odd name", [("Ünï", "DOUBLE")]),
        ("lake.nyc.flights", [("id", "BIGINT"), ("name", "VARCHAR")]),
        ("lake.nyc.trips", [("id", "BIGINT"), ("name", "VARCHAR")]),
    ]
    assert relations.locate(lake(tmp_path), found[2].name) == ParquetFiles(
        files=(tmp_path / "nyc/trips/1.parquet", tmp_path / "nyc/trips/2.parquet")
    )
    assert relations.locate(lake(tmp_path), found[1].name) == ParquetFiles(files=(tmp_path / "nyc/flights.parquet",))
    with pytest.raises(FileNotFoundError):
        relations.locate(lake(tmp_path), TableName(catalog="lake", database="nyc", table="gone"))


def test_folders_between_a_table_and_its_files_are_columns_of_pinned_types(tmp_path: Path) -> None:
    for year, day, city in (("2023", "2023-01-01", "07"), ("2024", "2024-02-29", "New%20York")):
        write(tmp_path / f"d/t/year={year}/day={day}/city={city}/1.parquet")
    write(tmp_path / "d/t/year=__HIVE_DEFAULT_PARTITION__/day=2024-01-01/city=x/1.parquet")
    write(tmp_path / "d/t/_temporary/1.parquet")
    (schema,) = inspect(lake(tmp_path))
    assert [(column.name, column.type.sql) for column in schema.columns] == [
        ("id", "BIGINT"),
        ("name", "VARCHAR"),
        ("year", "BIGINT"),
        ("day", "DATE"),
        ("city", "VARCHAR"),
    ]


@pytest.mark.parametrize("value", ["1e3", "+1", " 1", "0x1", "1_000", "9999999999999999999", "2024-1-1", "2023-02-29"])
def test_a_partition_that_is_not_plainly_a_number_or_a_date_is_text(tmp_path: Path, value: str) -> None:
    write(tmp_path / f"d/t/k={value}/1.parquet")
    (schema,) = inspect(lake(tmp_path))
    assert schema.columns[-1].type.sql == "VARCHAR"


def test_a_partitioned_table_below_a_folder_that_looks_like_a_partition_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "name=z/d/t/k=1/1.parquet")
    assert "would be taken for a partition" in problems(lake(tmp_path / "name=z"))


def test_a_database_file_is_schemas_and_tables(tmp_path: Path) -> None:
    catalog = database(
        tmp_path / "x.duckdb",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b DECIMAL(9,3) NOT NULL)",
        'CREATE SCHEMA "S p"; CREATE TABLE "S p"."T t" ("c d" VARCHAR COLLATE NOCASE)',
    )
    found = inspect(catalog)
    assert [(str(schema.name), [(column.name, column.type.sql) for column in schema.columns]) for schema in found] == [
        ("ware.S p.T t", [("c d", "VARCHAR")]),
        ("ware.main.t", [("a", "INTEGER"), ("b", "DECIMAL(9,3)")]),
    ]
    assert relations.locate(catalog, found[0].name) == DatabaseTable(file=catalog.path, schema="S p", table="T t")


def test_types_are_pinned_with_their_family_and_enums_are_text_at_every_level(tmp_path: Path) -> None:
    catalog = database(
        tmp_path / "x.duckdb",
        """CREATE TABLE t (
          a TINYINT, b UHUGEINT, c DECIMAL(38,0), d FLOAT, e BOOLEAN, f DATE, g TIMESTAMP_NS, h TIMESTAMPTZ, i TIME,
          j UUID, k BLOB, l INTERVAL, m JSON, n ENUM('x', 'SECRET'), o STRUCT("a b" ENUM('SECRET'), c INTEGER)[],
          p MAP(ENUM('SECRET'), DECIMAL(5,2)), q VARCHAR[3], r CHAR(5), s TIMETZ, t BIT, u TIMESTAMP_S)""",
    )
    (schema,) = inspect(catalog)
    assert {column.name: (column.type.sql, column.type.family) for column in schema.columns} == {
        "a": ("TINYINT", TypeFamily.INTEGER),
        "b": ("UHUGEINT", TypeFamily.INTEGER),
        "c": ("DECIMAL(38,0)", TypeFamily.DECIMAL),
        "d": ("FLOAT", TypeFamily.FLOAT),
        "e": ("BOOLEAN", TypeFamily.BOOLEAN),
        "f": ("DATE", TypeFamily.DATE),
        "g": ("TIMESTAMP_NS", TypeFamily.TIMESTAMP),
        "h": ("TIMESTAMP WITH TIME ZONE", TypeFamily.TIMESTAMP_TZ),
        "i": ("TIME", TypeFamily.OTHER),
        "j": ("UUID", TypeFamily.OTHER),
        "k": ("BLOB", TypeFamily.OTHER),
        "l": ("INTERVAL", TypeFamily.OTHER),
        "m": ("JSON", TypeFamily.OTHER),
        "n": ("VARCHAR", TypeFamily.TEXT),
        "o": ('STRUCT("a b" VARCHAR, "c" INTEGER)[]', TypeFamily.OTHER),
        "p": ("MAP(VARCHAR, DECIMAL(5,2))", TypeFamily.OTHER),
        "q": ("VARCHAR[3]", TypeFamily.OTHER),
        "r": ("VARCHAR", TypeFamily.TEXT),
        "s": ("TIME WITH TIME ZONE", TypeFamily.OTHER),
        "t": ("BIT", TypeFamily.OTHER),
        "u": ("TIMESTAMP_S", TypeFamily.TIMESTAMP),
    }


def test_a_parquet_column_that_holds_nothing_but_nulls_has_a_type(tmp_path: Path) -> None:
    write(tmp_path / "d/t.parquet", pa.table({"n": pa.nulls(2)}))
    (schema,) = inspect(lake(tmp_path))
    assert schema.columns[0].type.sql == "INTEGER"


@pytest.mark.parametrize("kind", ["UNION(a INTEGER)", "VARIANT", "BIGNUM", "STRUCT(a UNION(b INTEGER))[]"])
def test_a_type_without_an_exact_form_is_refused(tmp_path: Path, kind: str) -> None:
    catalog = database(tmp_path / "x.duckdb", f"CREATE TABLE t (a INTEGER, odd {kind})")
    assert "`main.t.odd`: type " in problems(catalog)
    assert "is not available in this version" in problems(catalog)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW v AS SELECT * FROM t", "`main.v` is a view"),
        ("CREATE MACRO abs(x) AS 'SECRET'", "`main.abs` is a macro"),
        ("CREATE MACRO m() AS TABLE SELECT * FROM t", "`main.m` is a macro"),
        ("CREATE TABLE g (a INTEGER, b INTEGER GENERATED ALWAYS AS (a + 1))", "`main.g.b` is a generated column"),
    ],
)
def test_a_database_file_that_could_change_what_a_query_reads_is_refused(
    tmp_path: Path, statement: str, words: str
) -> None:
    assert words in problems(database(tmp_path / "x.duckdb", "CREATE TABLE t (a INTEGER)", statement))


@pytest.mark.parametrize(
    ("one", "other"),
    [("ssn", "SSN"), ("key", "\u212aey"), ("straße", "STRASSE"), ("ﬁle", "file"), ("é", "e\u0301")],
)
def test_columns_that_are_one_name_in_some_engine_are_refused(tmp_path: Path, one: str, other: str) -> None:
    write(tmp_path / "d/t.parquet", pa.table([[1], [2]], names=[one, other]))
    assert f"`{one}` and `{other}` are one name in some engine" in problems(lake(tmp_path))


@pytest.mark.parametrize(("one", "other"), [("zip", "ZIP"), ("straße", "STRASSE")])
def test_fields_of_a_struct_that_are_one_name_in_some_engine_are_refused(tmp_path: Path, one: str, other: str) -> None:
    """DuckDB renames the second one to `ZIP_1`, which would escape the exclusion of `s.zip`."""
    fields = pa.struct([(one, pa.int32()), (other, pa.int32())])
    for number, kind in enumerate((fields, pa.struct([("t", fields)]), pa.list_(fields))):
        folder = tmp_path / str(number)
        write(folder / "d/t.parquet", pa.table({"s": pa.array([None], kind)}))
        assert "rename one" in problems(lake(folder))


def test_fields_of_a_database_that_are_one_name_in_some_engine_are_refused(tmp_path: Path) -> None:
    catalog = database(
        tmp_path / "w.duckdb", 'CREATE TABLE t (s STRUCT(t STRUCT("straße" INTEGER, "STRASSE" INTEGER)))'
    )
    assert "field of `main.t.s.t`: `straße` and `STRASSE` are one name" in problems(catalog)


def test_tables_and_databases_that_are_one_name_in_some_engine_are_refused(tmp_path: Path) -> None:
    for name in ("a/t", "a/T", "b/x", "B/x", "c/k", "c/\u212a"):
        write(tmp_path / f"{name}.parquet")
    found = problems(lake(tmp_path))
    for pair in ("`T` and `t`", "`B` and `b`", "`k` and `\u212a`"):
        assert pair in found


def test_files_of_one_table_that_differ_are_refused(tmp_path: Path) -> None:
    others: list[pa.Table] = [
        pa.table({"id": pa.array([1], pa.int32()), "name": ["x"]}),
        pa.table({"id": pa.array([1], pa.int64())}),
        pa.table({"name": ["x"], "id": pa.array([1], pa.int64())}),
        pa.table({"id": pa.array([1], pa.int64()), "name": ["x"], "more": [1]}),
    ]
    for number, other in enumerate(others):
        write(tmp_path / f"{number}/d/t/1.parquet")
        write(tmp_path / f"{number}/d/t/2.parquet", other)
        assert "`d.t`: 2.parquet has other columns or types than 1.parquet" in problems(lake(tmp_path / str(number)))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _text(file: Path) -> None:
    file.write_text("PAR1 this is no Parquet file PAR1")


@pytest.mark.parametrize("damage", [_cut, _empty, _text])
def test_a_broken_file_is_named_with_its_table(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write(tmp_path / "d/good.parquet")
    write(tmp_path / "d/bad.parquet")
    damage(tmp_path / "d/bad.parquet")
    found = problems(lake(tmp_path))
    assert "`d.bad`: bad.parquet cannot be read" in found
    assert "good" not in found


def test_folders_that_are_not_laid_out_as_tables_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "d/mixed/year=2020/x.parquet")
    write(tmp_path / "d/mixed/x.parquet")
    write(tmp_path / "d/keys/year=2020/x.parquet")
    write(tmp_path / "d/keys/Year=2021/x.parquet")
    write(tmp_path / "d/plain/2020/x.parquet")
    write(tmp_path / "d/twice/a=1/A=2/x.parquet")
    write(tmp_path / "d/column/ID=1/x.parquet")
    write(tmp_path / "d/globs/a=[1]/x.parquet")
    write(tmp_path / "d/both.parquet")
    write(tmp_path / "d/both/1.parquet")
    (tmp_path / "d/empty").mkdir()
    (tmp_path / "d/notes.txt").write_text("x")
    (tmp_path / "loose.parquet").write_bytes(b"")
    found = problems(lake(tmp_path))
    for words in (
        "`d/mixed`: not all files lie below folders of the same keys",
        "`d/keys`: not all files lie below folders of the same keys",
        "`d/plain`: `2020` is no partition; write `key=value`",
        "`d/twice`: a key stands twice",
        "column of `d.column`: `id` and `ID` are one name",
        "`d/globs`: a path holds one of `*?[`",
        "`d/both` is a folder and a file",
        "`d/empty` holds no Parquet file",
        "`d/notes.txt` is neither a folder nor a Parquet file",
        "`loose.parquet` is no folder",
    ):
        assert words in found


def test_a_catalog_that_is_not_there_or_holds_nothing_is_refused(tmp_path: Path) -> None:
    assert "is no folder" in problems(lake(tmp_path / "absent"))
    (tmp_path / "bare").mkdir()
    assert "holds no table" in problems(lake(tmp_path / "bare"))
    assert "holds no table" in problems(database(tmp_path / "x.duckdb", "CREATE SCHEMA s"))


@pytest.mark.parametrize("name", [*sorted(inspection.RESERVED_CATALOGS), "System", "MEMORY", "Penstock_extract_0"])
def test_a_name_that_the_engine_needs_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "d/t.parquet")
    assert "the engine needs the name" in problems(lake(tmp_path, name=name))


@pytest.mark.parametrize("name", ["information_schema", "PG_Catalog"])
def test_a_database_that_the_engine_has_in_every_catalog_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "tables.parquet")
    assert f"the engine needs the name `{name}`" in problems(lake(tmp_path))


def test_the_location_of_a_table_follows_the_layout(tmp_path: Path) -> None:
    write(tmp_path / "d/file.parquet")
    write(tmp_path / "d/folder/1.parquet")
    for key, prefix in (("", ""), ("curated", "curated/"), ("curated/", "curated/")):
        found = inspect(lake(tmp_path, location=S3Location(bucket="b", key=key)))
        assert [schema.location for schema in found] == [
            S3Location(bucket="b", key=f"{prefix}d/file.parquet"),
            S3Location(bucket="b", key=f"{prefix}d/folder"),
        ]
    catalog = database(tmp_path / "x.duckdb", "CREATE TABLE t (a INTEGER)")
    placed = warehouse(catalog.path, location=S3Location(bucket="b", key="k"))
    assert inspect(placed)[0].location == S3Location(bucket="b", key="k")
    assert inspect(catalog)[0].location is None


def test_all_problems_are_found_at_once(tmp_path: Path) -> None:
    catalog = database(
        tmp_path / "x.duckdb",
        "CREATE TABLE t (a INTEGER, b VARIANT)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE MACRO m() AS 1",
    )
    assert len(problems(catalog).splitlines()) == 3

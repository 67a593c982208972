"""Two worlds that agree on every permitted cell give the same bytes, whatever is asked.

The same comparison is made of a view over the base in one process, where every channel must show: a suite that cannot
see a leak proves nothing.
"""

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from penstock_server.engines.duckdb import canonical, printing
from support import worlds
from support.worlds import STORAGES, VISIBLE, WORLDS, Outcome

VECTORS = Path(__file__).parents[2] / "vectors/query"
CHANNELS: dict[str, list[dict[str, Any]]] = yaml.safe_load((VECTORS / "channels.yaml").read_text())
STATEMENTS: list[str] = yaml.safe_load((VECTORS / "statements.yaml").read_text())
SLOTS = "uninitialised slots of NULLs"
PROBES = [
    pytest.param(channel, probe, id=f"{channel} {number}")
    for channel, probes in CHANNELS.items()
    for number, probe in enumerate(probes)
]


@pytest.fixture(scope="module")
def streams(folder: Path) -> dict[tuple[str, str], dict[str, bytes]]:
    """The canonical stream of each policy, by world and storage."""
    return {
        (world, storage): worlds.read(
            folder,
            world,
            storage,
            {
                policy: printing.source_statement(table, VISIBLE, worlds.relation(folder, world, storage))
                for policy, table in worlds.policies().items()
            },
        )
        for world in WORLDS
        for storage in STORAGES
    }


def _statements() -> list[str]:
    probes = [probe["sql"] for probes in CHANNELS.values() for probe in probes]
    return [sql.replace("{t}", "t") for sql in (*probes, *STATEMENTS)]


@pytest.fixture(scope="module")
def answers(
    folder: Path, streams: dict[tuple[str, str], dict[str, bytes]]
) -> dict[tuple[str, str], list[tuple[str, Outcome]]]:
    """What sealed workers answer, by world and policy; the storages take turns."""
    asked = _statements()
    found: dict[tuple[str, str], list[tuple[str, Outcome]]] = {}
    for policy, world, storage in (
        ("rows", "poison", "native"),
        ("rows", "absent", "parquet"),
        ("cells", "poison", "parquet"),
        ("cells", "benign", "native"),
    ):
        stream = folder / f"{policy} {world}"
        stream.write_bytes(streams[world, storage][policy])
        found[world, policy] = list(zip(asked, worlds.ask(stream, asked), strict=True))
    return found


@pytest.mark.parametrize("policy", ["rows", "list"])
def test_what_crosses_to_a_worker_is_the_same_in_all_worlds_and_storages(
    streams: dict[tuple[str, str], dict[str, bytes]], policy: str
) -> None:
    crossing = {where: stream[policy] for where, stream in streams.items()}
    _require_equal(crossing)


def _require_equal(crossing: dict[tuple[str, str], bytes]) -> None:
    lengths = {where: len(stream) for where, stream in crossing.items()}
    assert len(set(crossing.values())) == 1, (lengths, [stream[:200] for stream in set(crossing.values())])
    assert min(lengths.values()) > 1_000_000
    assert not any(worlds.CANARY_TEXT in stream for stream in crossing.values())


def test_what_crosses_is_the_same_where_single_cells_are_hidden(
    streams: dict[tuple[str, str], dict[str, bytes]],
) -> None:
    _require_equal(
        {(world, storage): streams[world, storage]["cells"] for world in ("poison", "benign") for storage in STORAGES}
    )


def test_every_statement_gives_the_same_bytes_in_all_worlds(
    answers: dict[tuple[str, str], list[tuple[str, Outcome]]],
) -> None:
    for policy, other in (("rows", "absent"), ("cells", "benign")):
        for (sql, expected), (_, outcome) in zip(answers["poison", policy], answers[other, policy], strict=True):
            assert outcome == expected, (policy, sql)


def test_no_answer_holds_a_canary(answers: dict[tuple[str, str], list[tuple[str, Outcome]]]) -> None:
    for policy, other in (("rows", "absent"), ("cells", "benign")):
        for (sql, poisoned), (_, harmless) in zip(answers["poison", policy], answers[other, policy], strict=True):
            # Half a double may look like one of the numbers; then it does so in both worlds.
            assert set(poisoned.canaries) <= set(harmless.canaries), (policy, sql)
            assert worlds.CANARY_TEXT.decode() not in poisoned.canaries, (policy, sql)


def test_the_suite_asks_what_answers_and_what_fails(
    answers: dict[tuple[str, str], list[tuple[str, Outcome]]],
) -> None:
    outcomes = [outcome for _, outcome in answers["poison", "rows"]]
    failed = {outcome.error[1] for outcome in outcomes if outcome.error}
    assert {"SQL_EXECUTION", "COLUMN_NOT_FOUND", "SQL_BINDING"} <= failed
    assert sum(not outcome.error for outcome in outcomes) > 50
    assert sum(len(outcome.batches) for outcome in outcomes) > 1_000_000


@pytest.fixture(scope="module")
def copy(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB itself, with a copy of the permitted cells."""
    connection = duckdb.connect(config={"threads": 1, "default_collation": "binary"})
    connection.execute("SET TimeZone='UTC'")
    permitted = f"SELECT {', '.join(VISIBLE)} FROM '{worlds.parquet_file(folder, 'absent')}'"
    connection.execute(f"CREATE TABLE t AS {permitted}")
    return connection


def test_every_answer_is_that_of_a_copy_of_the_permitted_cells(
    copy: duckdb.DuckDBPyConnection, answers: dict[tuple[str, str], list[tuple[str, Outcome]]]
) -> None:
    given = dict(answers["poison", "rows"])
    compared = 0
    for sql in (statement.replace("{t}", "t") for statement in STATEMENTS):
        outcome = given[sql]
        try:
            result = copy.sql(sql).to_arrow_reader(canonical.FRAME_ROWS)
            schema = canonical.canonical_schema(result.schema).serialize().to_pybytes()
            expected = schema, b"".join(canonical.batches(result, message_bytes=None))
        except (duckdb.Error, OSError):
            assert outcome.error, sql
            continue
        if sql.startswith("explain"):  # over a copy the engine plans other joins; what counts is that worlds agree
            assert not outcome.error, sql
            continue
        if "rowid" in sql:  # the number of a row within the store is nobody's column
            assert outcome.error, sql
            continue
        assert (outcome.schema, outcome.batches) == expected, (sql, outcome.error)
        compared += 1
    assert compared > 45


@pytest.fixture(scope="module")
def leaks(folder: Path) -> dict[tuple[str, str, str], dict[str, Outcome]]:
    """What views answer, by world, storage and policy."""
    found = {}
    for policy in ("rows", "cells"):
        asked = [
            probe["sql"].replace("{t}", "t")
            for probes in CHANNELS.values()
            for probe in probes
            if probe["policy"] == policy
        ]
        for world in WORLDS if policy == "rows" else ("poison", "benign"):
            for storage in STORAGES:
                outcomes = worlds.ask_views(folder, world, storage, policy, asked)
                found[world, storage, policy] = dict(zip(asked, outcomes, strict=True))
    return found


@pytest.mark.parametrize(("channel", "probe"), PROBES)
def test_the_suite_sees_the_channel_through_a_view(
    leaks: dict[tuple[str, str, str], dict[str, Outcome]], channel: str, probe: dict[str, Any]
) -> None:
    sql = probe["sql"].replace("{t}", "t")
    policy = probe["policy"]
    for storage in probe["leaks_on"]:
        outcomes = {world: leaks[world, storage, policy][sql] for world in WORLDS if (world, storage, policy) in leaks}
        if channel == SLOTS:
            assert outcomes["poison"].canaries, storage
        else:
            assert len(set(outcomes.values())) > 1, storage


@pytest.mark.parametrize("probe", CHANNELS[SLOTS], ids=range(len(CHANNELS[SLOTS])))
def test_the_canonical_stream_holds_no_canary_even_where_hidden_cells_lie_in_memory(
    folder: Path, probe: dict[str, Any]
) -> None:
    sql = probe["sql"].replace("{t}", "t")
    for storage in probe["leaks_on"]:
        (outcome,) = worlds.ask_views(folder, "poison", storage, probe["policy"], [sql], scrubbed=True)
        assert outcome.error == ()
        assert outcome.canaries == []

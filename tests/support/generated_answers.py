"""Generated statements asked of sealed instances over each world, and compared to the byte.

A comparison is one statement under one policy, over one world in one storage, inline or as an extract, against the same
statement over the poisoned world from its DuckDB file. Whole runs are begun from the command line, each seed in
a process of its own, and go on where they were left:

    PYTHONPATH=tests python -m support.generated_answers FOLDER --seeds 1:35 --processes 2
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock_server.engines.duckdb import binding, canonical, errors, instance
from penstock_server.engines.duckdb.extracts.extract import MemoryFile
from penstock_server.engines.duckdb.extracts.layout import SLOTS, TABLE
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.errors import Reason
from penstock_server.model.decision import GovernedTable

from support import generated_statements as generated
from support import governed_worlds as worlds
from support.governed_worlds import CANARY, MEMORY_BYTES, SCHEMA, STORAGES, Stream

Read = Callable[[Path, str, str, GovernedTable], Stream]
"""How a world is read; a weaker one is given where the comparison must show it."""

STATEMENTS = 80
"""Statements of one seed under each policy, in a whole run."""

SOME_ROWS = 6_000
MANY_ROWS = 60_000
MOST_BYTES = 64 << 20
"""Of an answer that is longer, the beginning is compared."""

MOST_MEMORY = 14 << 30

MANY_EVERY = 12
"""How many seeds have one among them with many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What leaves a worker, as a digest of all bytes; and whether a secret was among them."""

    digest: bytes
    size: int
    error: str
    canary: bool


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run has compared."""

    comparisons: int = 0
    answers: int = 0
    errors: int = 0
    functions: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)


class World:
    """One sealed instance over what a policy permits of one world: inline, or as an extract in a slot.

    An instance that an internal error of the engine may have spoilt is thrown away, as its process is in the product.
    """

    def __init__(self, permitted: GovernedTable, stream: Stream, *, slot: int | None) -> None:
        self._permitted = permitted
        self._stream = stream
        self._slot = slot
        self._columns = tuple(shown.column.name for shown in permitted.columns)
        self._open()

    def ask(self, sql: str) -> Answered:
        """Run one statement."""
        digest, size, canary = hashlib.sha256(), 0, False
        try:
            for part in self._parts(sql):
                digest.update(len(part).to_bytes(8, "little") + part)
                size += len(part)
                canary = canary or CANARY in part
                if size > MOST_BYTES:
                    break
        except Exception as error:  # noqa: BLE001 - as the worker of the product does
            failed = errors.translate(error, sql=sql, memory_bytes=MEMORY_BYTES)
            text = errors.to_json(failed)
            if failed.reason is Reason.INTERNAL:
                self.close()
                self._open()
            # What came before the error has left too.
            digest.update(text)
            canary = canary or (CANARY in text and CANARY not in sql.encode())
            return Answered(digest=digest.digest(), size=size, error=str(failed.reason), canary=canary)
        return Answered(digest=digest.digest(), size=size, error="", canary=canary)

    def _parts(self, sql: str) -> Iterator[bytes]:
        result = self._connection.sql(sql).to_arrow_reader(canonical.FRAME_ROWS)
        yield canonical.canonical_schema(result.schema).serialize().to_pybytes()
        yield from canonical.batches(result, message_bytes=canonical.MESSAGE_BYTES)

    def close(self) -> None:
        """Close the instance, and leave its slot."""
        self._connection.close()
        if self._slot is not None:
            release(self._slot)

    def _shape(self) -> TableShape:
        columns = tuple(
            ShapedColumn(name=shown.column.name, sql_type=shown.column.type.sql) for shown in self._permitted.columns
        )
        return TableShape(name=SCHEMA.name, references=(("t",),), columns=columns)

    def _open(self) -> None:
        self._connection = instance.open_sealed(memory_bytes=MEMORY_BYTES)
        declaration = binding.declare(self._connection, (self._shape(),))
        if self._slot is None:
            binding.publish(self._connection, declaration, SCHEMA.name, self._columns, self._stream.batches())
        else:
            self._file = extract(self._shape(), self._stream, self._slot)
            binding.attach(self._connection, declaration, SCHEMA.name, self._columns, self._slot)


_displaced: dict[int, int] = {}
"""What was open under the number of a slot, under another number: in the product a worker has nothing there."""


def extract(shape: TableShape, stream: Stream, slot: int) -> MemoryFile:
    """Write a stream as a builder does, seal it in a memory file, and hold that in a slot."""
    builder = instance.prepare_builder(memory_bytes=MEMORY_BYTES)
    listed = ", ".join(f"c{number} {column.sql_type}" for number, column in enumerate(shape.columns))
    with tempfile.TemporaryDirectory() as folder:
        # A builder sees no path and takes its memory file for a new one; without its sandbox the engine would look.
        made = Path(folder) / "made.duckdb"
        builder.execute(f"ATTACH '{made}' AS made (TYPE duckdb)")
        builder.register("supply", stream.batches())
        builder.execute("BEGIN")
        builder.execute(f"CREATE TABLE made.main.{TABLE} ({listed})")
        builder.execute(f"INSERT INTO made.main.{TABLE} SELECT * FROM supply")
        builder.execute("COMMIT")
        builder.execute("DETACH made")
        builder.close()
        content = made.read_bytes()
    if CANARY in content:
        raise AssertionError("an extract holds a secret")
    file = MemoryFile()
    os.write(file.descriptor, content)
    file.seal()
    with contextlib.suppress(OSError):
        _displaced.setdefault(slot, os.dup(slot))
    os.dup2(file.descriptor, slot, inheritable=False)
    return file


def release(slot: int) -> None:
    """Give a slot back to what this process had there before."""
    before = _displaced.pop(slot, None)
    if before is None:
        os.close(slot)
    else:
        os.dup2(before, slot, inheritable=False)
        os.close(before)


Place = tuple[str, str]
"""A world and the storage that it is read from."""


def compare(
    folder: Path,
    seed: int,
    count: int,
    *,
    others: int | None = None,
    policies: Sequence[str] = (),
    read: Read = worlds.read,
) -> Tally:
    """Ask `count` statements under each policy, over `others` of its places (None = all), and count what differs.

    Statements run inline under one policy and over extracts under the next, the other way round with the next seed: the
    order of rows without ORDER BY may depend on which of the two it is, and never on what is hidden.
    """
    tally = Tally()
    known = generated.callees()
    for number, policy in enumerate(policies or worlds.POLICIES):
        permitted = worlds.governed(folder, policy)
        columns = {shown.column.name: shown.column.type.sql for shown in permitted.columns}
        asked = generated.statements(seed * 100 + number, count, columns, known=known)
        slots = iter(SLOTS if (seed + number) % 2 else ())
        with contextlib.ExitStack() as stack:
            opened = []
            for world, storage in _places(policy, seed + number, others):
                made = World(permitted, read(folder, world, storage, permitted), slot=next(slots, None))
                stack.callback(made.close)
                opened.append(((world, storage), made))
            for statement in asked:
                _compare_one(statement, policy, opened, tally)
    return tally


def _places(policy: str, number: int, others: int | None) -> list[Place]:
    """Give the poisoned world in its DuckDB file, and the others, which take turns."""
    first, *rest = [(world, storage) for storage in STORAGES for world in worlds.worlds_of(policy)]
    turned = [rest[(number + step) % len(rest)] for step in range(len(rest))]
    return [first, *turned[:others]]


def _compare_one(
    statement: generated.Statement, policy: str, opened: Sequence[tuple[Place, World]], tally: Tally
) -> None:
    (_, first), *others = opened
    expected = first.ask(statement.sql)
    tally.functions.add(statement.function)
    tally.places.add(statement.position)
    tally.answers += not expected.error
    tally.errors += bool(expected.error)
    if expected.canary:
        tally.differences.append(f"{policy}: a secret: {statement.sql}")
    for where, world in others:
        given = world.ask(statement.sql)
        tally.comparisons += 1
        if given != expected:
            tally.differences.append(f"{policy} {where}: {statement.sql}")


def main() -> None:
    """Run seeds that FOLDER has no result of, several at a time; each result is a line of `results.jsonl` there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="1:35", help="FIRST:END")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--one", type=int, help="run one seed in this process")
    arguments = parser.parse_args()
    if arguments.one is not None:
        _run_one(arguments.folder, arguments.one)
        return
    first, _, end = arguments.seeds.partition(":")
    found = run(arguments.folder, range(int(first), int(end)), processes=arguments.processes)
    total = {"seeds": len(found), "comparisons": sum(one["comparisons"] for one in found)}
    differences = {one["seed"]: one["differences"] for one in found if one["differences"]}
    sys.stdout.write(json.dumps(total | {"differences": differences}) + "\n")


def run(folder: Path, seeds: Iterable[int], *, processes: int) -> list[dict[str, Any]]:
    """Run the seeds that have no result yet, each in a process of its own; give all results, by seed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = {one["seed"] for one in _results(folder)}
    wanted = list(seeds)
    waiting = [seed for seed in wanted if seed not in done]
    running: dict[int, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                seed = waiting.pop(0)
                command = [sys.executable, "-m", __spec__.name, str(folder), "--one", str(seed)]
                running[seed] = subprocess.Popen(
                    command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
                )
            seed, process = next(iter(running.items()))
            process.wait()
            del running[seed]
            if process.returncode:
                raise RuntimeError(f"seed {seed} ended with {process.returncode}")
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return [one for one in _results(folder) if one["seed"] in wanted]


def _results(folder: Path) -> list[dict[str, Any]]:
    file = folder / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _run_one(folder: Path, seed: int) -> None:
    # Some functions take memory that the engine does not count; in the product the same limit stands for each worker.
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    began = time.process_time()
    rows = MANY_ROWS if seed % MANY_EVERY == 0 else SOME_ROWS
    with tempfile.TemporaryDirectory(dir=folder) as place:
        worlds.build(Path(place), rows)
        tally = compare(Path(place), seed, STATEMENTS)
    result = {
        "seed": seed,
        "rows": rows,
        "comparisons": tally.comparisons,
        "answers": tally.answers,
        "errors": tally.errors,
        "functions": len(tally.functions),
        "processor_seconds": round(time.process_time() - began, 1),
        "differences": tally.differences,
    }
    with (folder / "results.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

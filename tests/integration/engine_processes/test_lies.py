"""Parts that disagree: an answer is given only where reader, worker and front have counted the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.control import ZygoteControl
from penstock_server.engines.duckdb.pool import open_child
from penstock_server.engines.duckdb.wire.frames import FrameKind
from penstock_server.engines.duckdb.wire.messages import ChildKind, Opening, ReadOutcome, ReadReply, ReadRequest
from penstock_server.errors import PenstockError, Reason
from support import engine_processes as processes
from support.engine_processes import governed


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("the reader counts one row more", Reason.TABLE_UNREADABLE),
        ("the engine takes one row less", Reason.INTERNAL),
        ("the worker counts one row more", Reason.WORKER_LOST),
        ("the bound schema is another", Reason.INTERNAL),
    ],
)
async def test_parts_that_disagree_give_no_answer(catalog: CatalogSettings, lie: str, reason: Reason) -> None:
    with processes.zygote((*processes.WEAK_ZYGOTE, lie)) as lying:
        async with processes.engine(lying, catalog) as engine:
            with pytest.raises(PenstockError) as caught:
                await processes.answer(engine, "SELECT id FROM shop.orders", governed())
    assert caught.value.reason is reason


async def read(zygote: processes.Zygote, statement: str, *, root: Path, readable: Path) -> ReadReply:
    """Have a source reader, opened for a catalog, read one table of it."""
    control = ZygoteControl(patience_seconds=10)
    control.attach(zygote.control.dup())
    opening = Opening(memory_bytes=processes.MEMORY, threads=1, readable=(root,))
    child = await open_child(control, ChildKind.SOURCE_READER, opening)
    read_end, write_end = os.pipe()
    request = ReadRequest(statement=statement, readable=(readable,), attached=None)
    await child.channel.send_with_descriptor(FrameKind.READ, request, write_end)
    os.close(write_end)
    reply = await child.expect(FrameKind.READ_DONE, ReadReply)
    os.close(read_end)
    child.discard()
    control.detach()
    return reply


@pytest.mark.parametrize("weakness", ["doors", "landlock"])
async def test_a_reader_reads_no_other_table_though_one_barrier_is_away(tmp_path: Path, weakness: str) -> None:
    """The file rights of the process and the settings of the instance each hold alone."""
    for name in ("mine", "other"):
        (tmp_path / f"{name}.txt").write_text(name)

    def statement(name: str) -> str:
        return f"SELECT content FROM read_text('{tmp_path}/{name}.txt')"

    with processes.zygote((*processes.WEAK_ZYGOTE, weakness)) as weak:
        mine = await read(weak, statement("mine"), root=tmp_path, readable=tmp_path / "mine.txt")
        other = await read(weak, statement("other"), root=tmp_path, readable=tmp_path / "mine.txt")
    assert (mine.outcome, mine.rows) == (ReadOutcome.DONE, 1)
    assert (other.outcome, other.rows) == (ReadOutcome.FAULT, 0)

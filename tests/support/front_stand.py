"""A front without gRPC, run under the real supervisor: takes one SQL statement a line on a socket and answers it.

Arguments: the path of the socket, the folder of the catalog, and optionally how it fails: `refuse` ends with code 7
before it is ready, `crash` kills itself before it is ready, `orphan` leaves a grandchild and then refuses.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

PATH, FOLDER, *FAILURE = sys.argv[1:]

if FAILURE == ["refuse"]:
    sys.exit(7)
if FAILURE == ["orphan"]:
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.01)
            Path(f"{PATH}.adopted").write_text(str(os.getppid()))
        os._exit(0)
    while not Path(f"{PATH}.adopted").exists():
        time.sleep(0.01)
    sys.exit(7)
if FAILURE == ["crash"]:
    with open(f"{PATH}.starts", "a") as starts:
        starts.write("x")
    os.kill(os.getpid(), signal.SIGKILL)

sys.path.insert(0, str(Path(__file__).parent.parent))

from penstock_server.config.settings import CatalogKind, CatalogSettings  # noqa: E402 - as above
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets  # noqa: E402 - as above
from penstock_server.engines.duckdb.link import FrontEnd  # noqa: E402 - as above
from penstock_server.errors import PenstockError  # noqa: E402 - as above

from support import engine_processes as processes  # noqa: E402 - after the early ends, which need nothing


async def serve(path: str, folder: str, link: FrontEnd) -> None:
    catalog = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=Path(folder), location=None)
    budgets = EngineBudgets(memory_bytes=processes.MEMORY, threads=1, workers_ahead=1, readers_ahead=1)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with DuckDbEngine(catalogs=(catalog,), budgets=budgets) as engine:
        link.listen(engine.attach)
        await engine.inspect()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(f"{await reply(engine, line.decode().strip())}\n".encode())
            writer.close()

        server = await asyncio.start_unix_server(answer, path)
        link.ready()
        await stopping.wait()
        server.close()
        Path(path).with_suffix(".drained").touch()
    link.close()


async def reply(engine: DuckDbEngine, sql: str) -> str:
    if sql == "pid":
        return str(os.getpid())
    try:
        return repr(await processes.answer(engine, sql, processes.governed(), within=processes.limits(timeout=60)))
    except PenstockError as error:
        return f"error: {error.reason}"


if __name__ == "__main__":
    end = FrontEnd.from_environment()
    if end is None:
        sys.exit("no supervisor")
    asyncio.run(serve(PATH, FOLDER, end))

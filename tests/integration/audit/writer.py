"""Writes records until it is killed, eight at a time, and prints the name of each one that is acknowledged.

Arguments: the folder of the tests, the folder of the trail, and optionally the largest size of a file, past which it
prints the reason of three refusals and ends.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path


async def write(folder: Path, bounded: bool) -> None:
    from penstock_server.audit.log import AuditLog
    from penstock_server.errors import Unavailable
    from penstock_server.model.clock import SystemClock
    from support.audit import audit_record

    log = AuditLog.open(folder, SystemClock())
    refusals = 0

    async def one(name: str) -> None:
        nonlocal refusals
        try:
            await log.record(audit_record(name))
        except Unavailable as error:
            refusals += 1
            name = error.reason.value
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()

    number = 0
    while refusals < 3:
        together = 1 if bounded else 8
        await asyncio.gather(*(one(f"r{number + index}") for index in range(together)))
        number += together
    await log.close()


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    asyncio.run(write(Path(sys.argv[2]), len(sys.argv) > 3))

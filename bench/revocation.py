"""How long it takes until AWS holds what was revoked, with 1,000 live leases; the stand-in answers on this machine.

What AWS itself adds, calls over a network and the spreading of a policy, is not in these figures.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from moto.server import ThreadedMotoServer
from penstock_server.credentials.names import stable_name
from penstock_server.credentials.revocation_document import revocation_document
from penstock_server.credentials.revocation_writing import RevocationWriting
from penstock_server.model.principal import Principal
from penstock_server.state.store import State
from support.credentials import opened_state, principal
from support.revocation import account, boundary, writing
from support.small_leases import a_lease
from support.tokens import SteppedClock

LEASES = 1_000
PEOPLE = 100


def person(number: int) -> Principal:
    return principal(f"person-{number % PEOPLE}")


async def fill(state: State, clock: SteppedClock) -> None:
    for number in range(LEASES):
        owner = person(number)
        lease = a_lease(number, clock, owner)
        await state.leases.begin(lease)
        await state.leases.finish(lease.id, issued_at=clock.now(), token_issued_at=owner.issued_at)


async def turn(state: State, writer: RevocationWriting) -> float:
    began = time.perf_counter()
    if not await writer.turn(*await state.revocations.entries()):
        raise AssertionError("nothing was written")
    return time.perf_counter() - began


async def measure(folder: Path, url: str) -> None:
    clock = SteppedClock(instant=datetime.now(UTC))
    with opened_state(folder, clock) as state, account(url) as at, boundary(at, clock) as policy:
        await fill(state, clock)
        writer = writing(state, policy, clock, roles=[])
        times = []
        for number in range(20):
            who = person(number)
            began = time.perf_counter()
            await state.revocations.revoke_person(
                issuer=who.issuer, subject=who.subject, source_identity=stable_name(who), cause="bench", recorded=True
            )
            revoked = time.perf_counter() - began
            times.append(revoked + await turn(state, writer))
        say("one person of 100 with 10 leases, until read back", times)
        began = time.perf_counter()
        others = [lease.id for lease in await state.leases.live(after="", limit=LEASES)]
        await state.revocations.revoke_leases(others, cause="bench", recorded=True)
        together = time.perf_counter() - began
        print(
            f"{len(others)} leases at once, in the state: {together:.2f} s; at AWS: {await turn(state, writer):.2f} s"
        )
        _, entries = await state.revocations.entries()
        began = time.perf_counter()
        document = revocation_document(entries)
        took = (time.perf_counter() - began) * 1e3
        size = f"{len(document.text)} characters, {document.width.name}"
        print(f"the document of {len(entries)} entries: {took:.1f} ms, {size}")


def say(what: str, seconds: list[float]) -> None:
    print(f"{what}: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(Path(folder), f"http://127.0.0.1:{server.get_host_and_port()[1]}"))
    finally:
        server.stop()


if __name__ == "__main__":
    main()

"""The test of the barriers that runs before anything is served: what a sealed worker is, tries to get out."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from penstock_server.engines.duckdb.control import ZygoteControl
from penstock_server.engines.duckdb.pool import open_child
from penstock_server.engines.duckdb.sandbox.confinement import Barriers, SandboxUnavailable, active_barriers
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind
from penstock_server.engines.duckdb.wire.messages import ChildKind, Opening, ProbeReply, ProbeRequest
from penstock_server.errors import ConfigurationError

log = logging.getLogger(__name__)

_SECONDS = 60.0


async def require_sealed(control: ZygoteControl, opening: Opening, sources: tuple[Path, ...]) -> Barriers:
    """Have a sealed child try everything that it must not be able to do; give the barriers that held.

    `opening` is that of the sealed workers, `sources` what they must not be able to open.

    Raises:
        ConfigurationError: this machine cannot put the barriers up, or something got through them.
        Unavailable: no process can be had (`WORKER_LOST`).
    """
    try:
        barriers = active_barriers()
    except SandboxUnavailable as error:
        raise ConfigurationError((f"no query can be served safely on this machine: {error}",)) from error
    reply = await _probe(control, opening, sources)
    if reply.breaches:
        named = ", ".join(dict.fromkeys(reply.breaches))
        raise ConfigurationError((f"a sealed process could do what it must not: {named}; nothing is served",))
    log.info(
        "barriers hold",
        extra={
            "attempts": reply.attempts,
            "barriers": [str(barrier) for barrier in barriers.active],
            "landlock_version": barriers.landlock_version,
        },
    )
    return barriers


async def _probe(control: ZygoteControl, opening: Opening, sources: tuple[Path, ...]) -> ProbeReply:
    neighbour = await open_child(control, ChildKind.PROBE, opening)
    try:
        child = await open_child(control, ChildKind.PROBE, opening)
    except BaseException:
        neighbour.discard()
        raise
    request = ProbeRequest(paths=sources, front=os.getpid(), neighbour=neighbour.process)
    try:
        async with asyncio.timeout(_SECONDS):
            await child.channel.send(FrameKind.PROBE, request)
            reply = await child.expect(FrameKind.PROBED, ProbeReply)
    except (BrokenConversation, TimeoutError) as error:
        raise ConfigurationError(("the test of the barriers did not end; nothing is served",)) from error
    else:
        if not neighbour.alive:
            raise ConfigurationError(("a sealed process ended another one; nothing is served",))
        return reply
    finally:
        child.discard()
        neighbour.discard()

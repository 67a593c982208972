"""What the front process runs: one broker behind one gRPC server, from start to drain.

The supervisor starts it as `python -m penstock_server.service.front CONFIG [SECTION.KEY=VALUE ...]` with the
descriptor of `engines.duckdb.link`. It never parses or runs a caller's SQL, never loads DuckDB and never forks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

import uvloop

from penstock_server.broker.reloading import Cause
from penstock_server.broker.wiring import Broker, build
from penstock_server.config.loading import load
from penstock_server.config.overrides import Override
from penstock_server.config.settings import Settings
from penstock_server.engines.duckdb.link import FrontEnd
from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.model.clock import Clock, SystemClock
from penstock_server.service.logs import configure_logs
from penstock_server.service.server import Server

log = logging.getLogger(__name__)

_READINESS_SECONDS = 0.5


async def serve(settings: Settings, *, link: FrontEnd, clock: Clock, environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; SIGHUP reloads the policy.

    Call it on the main thread of a process of its own.

    Raises:
        ConfigurationError: something that the operator must mend; nothing was served.
        Unavailable: audit or zygote were not there at the start.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    reloading = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.set)
    broker = build(settings, clock=clock, environ=environ)
    server = Server(settings, broker, clock)
    try:
        await server.listen()
        link.listen(broker.attach)
        if await _unless(stopping, broker.start()):
            link.ready()
            log.info("started")
            await _unless(stopping, _work(server, broker, reloading))
        await server.drain()
    finally:
        await server.close()
        await broker.stop()
        link.close()


async def _unless(stopping: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do the work, unless told to stop meanwhile; gives whether it was done. Raises what the work raises."""
    waiting = asyncio.create_task(stopping.wait())
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
        return True
    finally:
        for one in (waiting, task):
            one.cancel()
        await asyncio.gather(waiting, task, return_exceptions=True)


async def _work(server: Server, broker: Broker, reloading: asyncio.Event) -> None:
    """Do for ever what no call asks for."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_tell_health(server, broker))
        tasks.create_task(_reload_on_signal(broker, reloading))


async def _reload_on_signal(broker: Broker, reloading: asyncio.Event) -> None:
    """Reload the policy at each SIGHUP; several at once are one."""
    while True:
        await reloading.wait()
        reloading.clear()
        await broker.reload_policy(Cause.SIGNAL)


async def _tell_health(server: Server, broker: Broker) -> None:
    """Keep the health status true for ever."""
    while True:
        if broker.ready is not server.health.serving:
            await server.health.set_serving(broker.ready)
            log.info("serving" if broker.ready else "not serving: the keys of an issuer are not known")
        if broker.policy_current is not server.health.policy_current:
            await server.health.set_policy_current(broker.policy_current)
            if not broker.policy_current:
                log.error("the policy files cannot be loaded: the policy from before them decides")
        if broker.rules_current is not server.health.rules_current:
            await server.health.set_rules_current(broker.rules_current)
            if not broker.rules_current:
                log.error("the query of a rules dataset fails: what it gave last decides until it is too old")
        await asyncio.sleep(_READINESS_SECONDS)


def run(settings: Settings, *, environ: Mapping[str, str]) -> int:
    """Serve and give the exit code: 0 after a drain, 1 where the service could not start."""
    link = FrontEnd.from_environment()
    if link is None:
        sys.stderr.write("the front is started by `penstock-server serve`, never by hand\n")
        return 2
    try:
        uvloop.run(serve(settings, link=link, clock=SystemClock(), environ=environ))
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return 1
    except PenstockError as error:
        sys.stderr.write(f"cannot start: {error.message} ({error.detail})\n")
        return 1
    return 0


def _override(argument: str) -> Override:
    key, _, value = argument.partition("=")
    return Override(path=tuple(key.split(".")), value=value, source=f"{key}=")


def main(arguments: Sequence[str]) -> int:
    """Read the configuration and serve."""
    configure_logs()
    try:
        flags = [_override(argument) for argument in arguments[1:]]
        settings = load(Path(arguments[0]), environ=os.environ, flags=flags)
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return 1
    return run(settings, environ=os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A query door over the real engine, a real policy and a real audit trail, without a network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock_server.audit.log import AuditLog
from penstock_server.broker.policies import Policies
from penstock_server.config.settings import CatalogKind, CatalogSettings, QuerySettings
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.launch import ZYGOTE, private_zygote
from penstock_server.model.audit import AuditRecord
from penstock_server.model.clock import SystemClock
from penstock_server.model.principal import Group, KnownIssuers, Principal
from penstock_server.model.request import RequestContext
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.reading.files import load
from penstock_server.query.door import QueryDoor
from penstock_server.query.requests import QueryPart, QueryRequest

from support.small_lake import POLICY, write_lake
from support.transports import principal


@dataclass(slots=True, kw_only=True)
class Stand:
    """A door with everything behind it."""

    door: QueryDoor
    engine: DuckDbEngine
    policies: Policies
    audit: AuditLog
    folder: Path

    async def replace_policy(self, text: str) -> BoundPolicy:
        """Let another policy decide from now on."""
        file = self.folder / "policy.yaml"
        file.write_text(text)
        issuers = KnownIssuers(default="https://login.test", issuers=("https://login.test",), prefixes=())
        policy = bind(load((file,), issuers), await self.engine.inspect(), logins=frozenset())
        self.policies.replace(policy, bound_at=datetime.now(UTC))
        return policy

    async def records(self, request_id: str) -> list[AuditRecord]:
        """What the trail has of one statement."""
        entries = await self.audit.entries(after=0, limit=1_000)
        return [entry.record for entry in entries if entry.record.request_id == request_id]


def analyst() -> Principal:
    alice = principal("alice")
    return Principal(
        **{name: getattr(alice, name) for name in Principal.__slots__ if name != "groups"},
        groups=frozenset({Group(issuer="https://login.test", name="analysts")}),
    )


def context(request_id: str) -> RequestContext:
    return RequestContext(request_id=request_id, peer_address="127.0.0.1", client_certificate=None)


def request(sql: str, *, timeout: timedelta | None = None) -> QueryRequest:
    return QueryRequest(sql=sql, catalog=None, parameters=(), timeout=timeout)


def settings(**changes: object) -> QuerySettings:
    values: dict[str, object] = {
        "timeout": timedelta(seconds=20),
        "stall_timeout": timedelta(seconds=10),
        "memory_bytes": 256 * 1024 * 1024,
        "max_rows": None,
        "concurrency": 2,
    }
    return QuerySettings(**(values | changes))  # type: ignore[arg-type]  # one value for each field


@contextlib.asynccontextmanager
async def standing(tmp_path: Path, **changes: object) -> AsyncIterator[Stand]:
    write_lake(tmp_path / "lake")
    lake = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path / "lake", location=None)
    budgets = EngineBudgets(memory_bytes=256 * 1024 * 1024, threads=1, workers_ahead=1, readers_ahead=1)
    clock = SystemClock()
    policies = Policies()
    audit = AuditLog.open(tmp_path / "audit", clock)
    with private_zygote(ZYGOTE) as control:
        engine = DuckDbEngine(catalogs=(lake,), budgets=budgets)
        engine.attach(control)
        async with engine:
            door = QueryDoor(engine=engine, policies=policies, audit=audit, clock=clock, settings=settings(**changes))
            stand = Stand(door=door, engine=engine, policies=policies, audit=audit, folder=tmp_path)
            await stand.replace_policy(POLICY)
            yield stand
    await audit.close()


async def run(stand: Stand, request_id: str, asked: QueryRequest) -> list[QueryPart]:
    async with contextlib.aclosing(stand.door.execute(analyst(), asked, context(request_id))) as parts:
        return [part async for part in parts]

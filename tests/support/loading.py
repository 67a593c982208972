"""A policy loader on real files with a catalog that a test writes, for tests of loads and reloads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.audit.log import AuditLog
from penstock_server.broker.policies import Policies
from penstock_server.broker.reloading import PolicyLoader
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.config.loading import load
from penstock_server.config.settings import Settings
from penstock_server.errors import PenstockError
from penstock_server.model.audit import AuditRecord
from penstock_server.model.clock import Clock, SystemClock
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot, TableSchema, TypeFamily

from support.configuration import write_configuration
from support.policies import table

FLIGHTS = table("lake.nyc.flights", {"origin": "VARCHAR", "month": "BIGINT"})

POLICY = """\
version: 1
grants:
  - name: {name}
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
"""


@dataclass(kw_only=True)
class WrittenCatalog:
    """Tells the tables that a test wrote down; `gate` holds up whoever looks, `looks` says so; `fails` is raised."""

    tables: tuple[TableSchema, ...] = (FLIGHTS,)
    gate: asyncio.Event | None = None
    fails: PenstockError | None = None
    looked: int = 0
    looks: asyncio.Event = field(default_factory=asyncio.Event)

    async def inspect(self) -> CatalogSnapshot:
        self.looked += 1
        if self.gate is not None:
            self.looks.set()
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return CatalogSnapshot(tables=self.tables)


@dataclass(kw_only=True)
class WrittenRules:
    """Answers rules queries by what a test wrote down for their texts, and counts them; `gate` holds up who asks."""

    given: dict[str, str | PenstockError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    asks: asyncio.Event = field(default_factory=asyncio.Event)

    async def query_rules(self, sql: str, *, catalog: str, snapshot: CatalogSnapshot) -> QueriedRules:
        self.asked.append(sql)
        answer = self.given[sql]
        if self.gate is not None:
            self.asks.set()
            await self.gate.wait()
        if isinstance(answer, PenstockError):
            raise answer
        header, *rows = answer.splitlines()
        columns = tuple((name, TypeFamily.TEXT) for name in header.split(","))
        return QueriedRules(columns=columns, text=("\n".join([header, *sorted(set(rows))]) + "\n").encode())


@dataclass(kw_only=True)
class LoadingBench:
    """A loader and what it writes."""

    folder: Path
    settings: Settings
    audit: AuditLog
    loader: PolicyLoader
    policies: Policies
    rules: WrittenRules
    records_of_service: ServiceRecords
    clock: Clock
    catalog: WrittenCatalog = field(default_factory=WrittenCatalog)

    @property
    def policy_file(self) -> Path:
        """The one policy file."""
        return self.folder / "policies" / "policy.yaml"

    def write(self, name: str) -> None:
        """Write a policy whose one grant has this name."""
        self.policy_file.write_text(POLICY.format(name=name))

    def grants(self) -> set[str]:
        """The names of the grants that decide now."""
        by_selector = self.policies.bound().grants.values()
        return {grant.name for grants in by_selector for some in grants.values() for grant in some}

    async def records(self, event: str) -> list[AuditRecord]:
        """The audit's records of one kind."""
        return [one.record for one in await self.audit.entries(after=0, limit=1_000) if one.record.event.value == event]


def loading_bench(folder: Path, clock: Clock | None = None) -> LoadingBench:
    """A loader that has loaded nothing yet; whoever calls closes its audit."""
    settings = load(write_configuration(folder), environ={})
    clock = SystemClock() if clock is None else clock
    audit = AuditLog.open(folder / "audit", clock)
    policies, catalog, rules = Policies(), WrittenCatalog(), WrittenRules()
    records = ServiceRecords(audit, clock)
    loader = PolicyLoader(
        settings=settings, inspector=catalog, rules=rules, policies=policies, records=records, clock=clock
    )
    bench = LoadingBench(
        folder=folder,
        settings=settings,
        audit=audit,
        loader=loader,
        policies=policies,
        catalog=catalog,
        rules=rules,
        records_of_service=records,
        clock=clock,
    )
    bench.write("first")
    return bench

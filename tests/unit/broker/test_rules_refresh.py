"""Rules datasets from queries: loaded with the policy, refreshed behind it, closed when they are too old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.broker.reloading import Cause
from penstock_server.broker.rules_refresh import RulesRefresh, RulesState
from penstock_server.errors import ConfigurationError, LimitExceeded, PenstockError, QueryError, Reason, Unavailable
from penstock_server.model.decision import TableDecision
from penstock_server.model.predicate import AnyTrue, Compare, Comparison, Predicate
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide
from support.loading import LoadingBench, loading_bench
from support.policies import ISSUER, name_of, principal
from support.tokens import SteppedClock

SQL = "select UserName, origin from staff"
POLICY = """\
version: 1
grants:
  - {name: all, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT]}
row_rules:
  - resource: lake.nyc.flights
    name: origins
    rules: {query: "select UserName, origin from staff", catalog: lake, refresh: 5m, max_staleness: 1h}
"""
JFK = "UserName,origin\nalice,JFK\n"
LGA = "UserName,origin\nalice,LGA\n"
FAILS = QueryError(Reason.SQL_EXECUTION, "the query failed on the rows of its tables", hint="mend it")


class Refreshing:
    """A bench with a policy that has a rules query, and what refreshes it."""

    def __init__(self, bench: LoadingBench, clock: SteppedClock) -> None:
        self.bench = bench
        self.clock = clock
        self.refresh = RulesRefresh(
            loader=bench.loader, reader=bench.rules, records=bench.records_of_service, clock=clock
        )

    def decision(self) -> TableDecision:
        asked = decide(self.bench.policies.bound(), ALICE, name_of("lake.nyc.flights"), facts=self.now())
        assert isinstance(asked, TableDecision)
        return asked

    def now(self) -> RequestFacts:
        return RequestFacts.of_instant(self.clock.now())

    def rows(self) -> tuple[Predicate, ...]:
        return self.decision().table.rows

    async def later(self, step: timedelta) -> None:
        self.clock.advance(step)
        await self.refresh.refresh_due()


ALICE: Principal = principal("alice", issuer=ISSUER)
MINUTE = timedelta(minutes=1)


def origin(value: str) -> tuple[Predicate, ...]:
    return (Compare(column="origin", op=Comparison.EQUAL, value=value),)


NO_ROW: tuple[Predicate, ...] = (AnyTrue(operands=()),)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Refreshing]:
    clock = SteppedClock()
    bench = loading_bench(tmp_path, clock)
    bench.policy_file.write_text(POLICY)
    bench.rules.given[SQL] = JFK
    await bench.loader.start()
    yield Refreshing(bench, clock)
    await bench.loader.close()
    await bench.audit.close()


async def test_a_query_is_asked_when_the_policy_is_loaded(made: Refreshing) -> None:
    assert made.rows() == origin("JFK")
    assert made.bench.rules.asked == [SQL]
    assert made.refresh.states() == (RulesState(name="origins", failing=None, stale=False),)


async def test_a_query_is_asked_again_when_it_is_due_and_not_before(made: Refreshing) -> None:
    made.bench.rules.given[SQL] = LGA
    await made.later(5 * MINUTE - timedelta(seconds=1))
    assert made.bench.rules.asked == [SQL]
    await made.later(timedelta(seconds=1))
    assert made.bench.rules.asked == [SQL, SQL]
    assert made.rows() == origin("LGA")
    await made.later(MINUTE)
    assert len(made.bench.rules.asked) == 2


async def test_other_content_is_another_version_with_a_record_that_names_the_dataset(made: Refreshing) -> None:
    before = made.bench.policies.current()
    made.bench.rules.given[SQL] = LGA
    await made.later(5 * MINUTE)
    after = made.bench.policies.bound()
    assert after.version != before.version
    assert before.bound.version == before.version
    records = await made.bench.records("policy.loaded")
    assert [record.policy_version for record in records] == [before.version, after.version]
    assert dict(records[-1].details) == {"causes": "rules", "rules_datasets": "origins"}
    made.bench.rules.given[SQL] = JFK
    await made.later(5 * MINUTE)
    assert made.bench.policies.bound().version == before.version


async def test_what_is_under_way_keeps_the_rules_that_it_began_with(made: Refreshing) -> None:
    caught = made.bench.policies.current().bound
    made.bench.rules.given[SQL] = LGA
    await made.later(5 * MINUTE)
    outcome = decide(caught, ALICE, name_of("lake.nyc.flights"), facts=made.now())
    assert isinstance(outcome, TableDecision)
    assert outcome.table.rows == origin("JFK")


async def test_only_the_dataset_is_replaced(made: Refreshing) -> None:
    before = made.bench.policies.bound()
    made.bench.rules.given[SQL] = LGA
    await made.later(5 * MINUTE)
    after = made.bench.policies.bound()
    assert after.grants is before.grants
    assert after.snapshot is before.snapshot
    assert made.bench.catalog.looked == 1


async def test_the_same_content_counts_for_longer_without_a_record(made: Refreshing) -> None:
    began, version = made.bench.policies.bound_at(), made.bench.policies.bound().version
    asked_at = made.clock.now()
    assert made.decision().expires_at == asked_at + 60 * MINUTE
    await made.later(5 * MINUTE)
    assert made.decision().expires_at == asked_at + 65 * MINUTE
    assert made.bench.policies.bound().version == version
    assert made.bench.policies.bound_at() == began
    assert len(await made.bench.records("policy.loaded")) == 1


async def test_rows_in_another_order_are_the_same_content(made: Refreshing) -> None:
    made.bench.rules.given[SQL] = "UserName,origin\nbob,X\nalice,JFK\n"
    await made.later(5 * MINUTE)
    version = made.bench.policies.bound().version
    made.bench.rules.given[SQL] = "UserName,origin\nalice,JFK\nbob,X\nbob,X\n"
    await made.later(5 * MINUTE)
    assert made.bench.policies.bound().version == version


@pytest.mark.parametrize(
    "failure",
    [
        FAILS,
        LimitExceeded(Reason.QUERY_TIMEOUT, "too long", limit="query.timeout", value="2m", hint="be quick"),
        Unavailable(Reason.WORKER_LOST, "no process", retry_after_seconds=1.0, detail="no zygote"),
        "UserName,nope\nalice,JFK\n",
        "UserName\n",
        "origin\nJFK\n",
        "UserName,UserName\nalice,alice\n",
        "UserName,origin\n,JFK\n",
    ],
    ids=["fails", "hangs", "no process", "unknown field", "other columns", "no identity", "twice", "nobody"],
)
async def test_a_refresh_that_fails_keeps_the_last_result_until_it_is_too_old(
    made: Refreshing, failure: str | PenstockError
) -> None:
    if failure == "UserName\n":  # all fields gone: everybody named sees all rows, which is for the policy to say
        failure = "UserName,orig in\nalice,JFK\n"
    began = made.clock.now()
    made.bench.rules.given[SQL] = failure
    await made.later(5 * MINUTE)
    assert made.rows() == origin("JFK")
    assert made.refresh.states() == (RulesState(name="origins", failing=began + 5 * MINUTE, stale=False),)
    made.clock.advance(55 * MINUTE - timedelta(microseconds=1))
    assert made.rows() == origin("JFK")
    # No refresh runs here: what is too old shows no row, whoever is alive.
    made.clock.advance(timedelta(microseconds=1))
    assert made.rows() == NO_ROW
    assert made.decision().expires_at is None
    assert made.refresh.states() == (RulesState(name="origins", failing=began + 5 * MINUTE, stale=True),)
    made.bench.rules.given[SQL] = LGA
    await made.later(MINUTE)
    assert made.rows() == origin("LGA")
    assert made.refresh.states() == (RulesState(name="origins", failing=None, stale=False),)


async def test_a_decision_ends_when_its_rules_are_too_old(made: Refreshing) -> None:
    asked_at = made.clock.now()
    made.clock.advance(3 * MINUTE)
    assert made.decision().expires_at == asked_at + 60 * MINUTE
    current = made.bench.policies.current()
    remembered = current.resolve(ALICE, ("lake", "nyc", "flights"), default_catalog=None, facts=made.now())
    assert isinstance(remembered, TableDecision)
    made.clock.advance(57 * MINUTE)
    late = current.resolve(ALICE, ("lake", "nyc", "flights"), default_catalog=None, facts=made.now())
    assert isinstance(late, TableDecision)
    assert late.table.rows == NO_ROW


async def test_failures_are_in_the_audit_when_they_begin_and_when_rows_are_closed(made: Refreshing) -> None:
    made.bench.rules.given[SQL] = FAILS
    for _ in range(70):
        await made.later(MINUTE)
    records = await made.bench.records("policy.load_failed")
    assert [dict(record.details)["stale"] for record in records] == ["false", "true"]
    assert records[0].resources == ("origins",)
    assert f"{made.bench.policy_file}:7: the rules query is refused: " in records[0].reason


async def test_a_query_that_failed_is_tried_again_sooner_than_it_is_refreshed(made: Refreshing) -> None:
    made.bench.rules.given[SQL] = FAILS
    await made.later(5 * MINUTE)
    await made.later(MINUTE)
    assert len(made.bench.rules.asked) == 3


@pytest.mark.parametrize("answer", [FAILS, "UserName,nope\nalice,JFK\n", ""])
async def test_a_policy_whose_query_fails_is_not_loaded(tmp_path: Path, answer: str | PenstockError) -> None:
    bench = loading_bench(tmp_path, SteppedClock())
    bench.policy_file.write_text(POLICY)
    bench.rules.given[SQL] = answer if answer != "" else "x\n1\n"
    with pytest.raises(ConfigurationError) as caught:
        await bench.loader.start()
    assert caught.value.problems[0].startswith(f"{bench.policy_file}:7: ")
    assert "JFK" not in str(caught.value)
    assert not bench.policies.loaded
    await bench.audit.close()


async def test_a_reload_whose_query_fails_leaves_the_policy_from_before(made: Refreshing) -> None:
    before = made.bench.policies.bound()
    made.bench.rules.given[SQL] = FAILS
    outcome = await made.bench.loader.reload(Cause.SIGNAL)
    assert outcome.failed
    assert made.bench.policies.bound() is before


async def test_a_refresh_that_a_reload_overtakes_puts_nothing_older_back(made: Refreshing) -> None:
    """The refresh asks first and comes last: what the reload asked later stays."""
    rules = made.bench.rules
    rules.gate = asyncio.Event()
    made.clock.advance(5 * MINUTE)
    refreshing = asyncio.create_task(made.refresh.refresh_due())
    await asyncio.wait_for(rules.asks.wait(), 20)
    held, rules.gate = rules.gate, None
    made.clock.advance(timedelta(seconds=1))
    rules.given[SQL] = LGA
    assert not (await made.bench.loader.reload(Cause.CALL)).failed
    held.set()
    await refreshing
    assert made.rows() == origin("LGA")


async def test_a_refresh_for_an_entry_that_is_gone_changes_nothing(made: Refreshing) -> None:
    rules = made.bench.rules
    rules.gate = asyncio.Event()
    made.clock.advance(5 * MINUTE)
    refreshing = asyncio.create_task(made.refresh.refresh_due())
    await asyncio.wait_for(rules.asks.wait(), 20)
    held, rules.gate = rules.gate, None
    made.bench.policy_file.write_text(POLICY.split("row_rules", maxsplit=1)[0])
    assert not (await made.bench.loader.reload(Cause.CALL)).failed
    after = made.bench.policies.bound()
    held.set()
    await refreshing
    assert made.bench.policies.bound() is after
    assert made.refresh.states() == ()


async def test_datasets_that_ask_the_same_are_asked_once(tmp_path: Path) -> None:
    clock = SteppedClock()
    bench = loading_bench(tmp_path, clock)
    entry = POLICY.split("row_rules:\n")[1]
    bench.policy_file.write_text(POLICY + entry.replace("name: origins", "name: again"))
    bench.rules.given[SQL] = JFK
    await bench.loader.start()
    assert bench.rules.asked == [SQL]
    made = Refreshing(bench, clock)
    bench.rules.given[SQL] = LGA
    await made.later(5 * MINUTE)
    assert bench.rules.asked == [SQL, SQL]
    assert made.rows() == origin("LGA") + origin("LGA")
    await bench.audit.close()


async def test_a_clock_that_was_set_back_keeps_no_query_from_being_asked(made: Refreshing) -> None:
    await made.later(timedelta(hours=-3))
    assert len(made.bench.rules.asked) == 2

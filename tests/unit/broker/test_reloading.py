"""Loads of policies: one at a time, as a whole, and the last good one stays."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from penstock_server.broker.loading import LoadedPolicy
from penstock_server.broker.reloading import Cause
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.policy.reading.file_trees import DiskFiles
from support.loading import POLICY, LoadingBench, loading_bench
from support.policies import table


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LoadingBench]:
    made = loading_bench(tmp_path)
    await made.loader.start()
    yield made
    await made.loader.close()
    await made.audit.close()


async def looking(bench: LoadingBench) -> None:
    """Wait until a load looks at the catalog, and is held up there."""
    await asyncio.wait_for(bench.catalog.looks.wait(), 20)


async def test_a_reload_lets_the_files_of_now_decide(bench: LoadingBench) -> None:
    before = bench.policies.bound()
    bench.write("second")
    outcome = await bench.loader.reload(Cause.CALL)
    assert not outcome.failed
    assert bench.grants() == {"second"}
    assert outcome.version == bench.policies.bound().version != before.version
    assert bench.loader.failure is None


async def test_what_is_under_way_keeps_the_policy_that_it_began_with(bench: LoadingBench) -> None:
    caught = bench.policies.current()
    bench.write("second")
    await bench.loader.reload(Cause.CALL)
    assert {grant.name for some in caught.bound.grants.values() for one in some.values() for grant in one} == {"first"}


async def test_a_broken_file_keeps_the_last_good_policy_and_says_where(bench: LoadingBench) -> None:
    before = bench.policies.bound()
    bench.policy_file.write_text(POLICY.format(name="second") + "    colums: {include: [origin]}\n")
    outcome = await bench.loader.reload(Cause.FILES)
    assert outcome.failed
    assert outcome.lasting
    assert f"{bench.policy_file}:7: " in outcome.problems[0]
    assert outcome.version == before.version
    assert bench.policies.bound() is before
    assert bench.loader.failure == outcome
    [record] = await bench.records("policy.load_failed")
    assert (record.outcome.value, record.policy_version) == ("failed", before.version)
    assert f"{bench.policy_file}:7: " in record.reason
    assert dict(record.details)["causes"] == "files"


async def test_a_mended_file_ends_the_failure(bench: LoadingBench) -> None:
    bench.policy_file.write_text("version: 2\n")
    assert (await bench.loader.reload(Cause.FILES)).failed
    bench.write("mended")
    assert not (await bench.loader.reload(Cause.FILES)).failed
    assert bench.loader.failure is None
    assert bench.grants() == {"mended"}


async def test_a_reload_looks_at_the_catalogs_anew(bench: LoadingBench) -> None:
    bench.catalog.tables = (table("lake.nyc.other", {"a": "VARCHAR"}),)
    outcome = await bench.loader.reload(Cause.SIGNAL)
    assert "lake.nyc.flights" in outcome.problems[0]
    assert bench.grants() == {"first"}


async def test_catalogs_that_cannot_be_looked_at_are_no_lasting_failure(bench: LoadingBench) -> None:
    bench.catalog.fails = Unavailable(Reason.WORKER_LOST, "no process", retry_after_seconds=1.0, detail="no zygote")
    outcome = await bench.loader.reload(Cause.SIGNAL)
    assert outcome.failed
    assert not outcome.lasting
    assert bench.grants() == {"first"}
    assert bench.loader.files.digest is None


async def test_the_first_load_fails_as_a_whole(tmp_path: Path) -> None:
    made = loading_bench(tmp_path)
    made.policy_file.write_text("version: 1\ngrants: []\n")
    with pytest.raises(ConfigurationError):
        await made.loader.start()
    assert not made.policies.loaded
    await made.audit.close()


async def test_who_asks_during_a_load_shares_the_next_one(bench: LoadingBench) -> None:
    bench.catalog.gate = asyncio.Event()
    first = asyncio.create_task(bench.loader.reload(Cause.CALL))
    await looking(bench)
    bench.write("second")
    others = [asyncio.create_task(bench.loader.reload(cause)) for cause in (Cause.CALL, Cause.SIGNAL, Cause.FILES)]
    await asyncio.sleep(0.05)
    bench.catalog.gate.set()
    await asyncio.gather(first, *others)
    assert bench.grants() == {"second"}
    causes = [dict(record.details)["causes"] for record in await bench.records("policy.loaded")]
    assert causes == ["start", "call", "call,files,signal"]


async def test_a_hundred_rapid_changes_end_with_the_last_one(bench: LoadingBench) -> None:
    asked = []
    for number in range(100):
        bench.write(f"change-{number}")
        asked.append(asyncio.create_task(bench.loader.reload(Cause.FILES)))
        await asyncio.sleep(0)
    await asyncio.gather(*asked)
    assert bench.grants() == {"change-99"}
    assert len(await bench.records("policy.loaded")) <= 3


async def test_a_cancelled_caller_does_not_end_the_load_of_others(bench: LoadingBench) -> None:
    bench.catalog.gate = asyncio.Event()
    bench.write("second")
    one, other = (asyncio.create_task(bench.loader.reload(Cause.CALL)) for _ in range(2))
    await looking(bench)
    one.cancel()
    bench.catalog.gate.set()
    assert not (await other).failed
    assert bench.grants() == {"second"}


async def test_a_file_that_changes_while_it_is_read_is_read_again(
    bench: LoadingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a file must not become a policy: here the denial at its end comes a moment later."""
    bench.write("half")
    whole = bench.policy_file.read_text()
    read = DiskFiles.text

    def read_then_written_on(files: DiskFiles, path: Path) -> str:
        text = read(files, path)
        if "denials" not in path.read_text():
            path.write_text(
                whole
                + "denials:\n  - {resource: lake.nyc.flights, except_principals: ['user:eve'], permissions: [SELECT]}\n"
            )
        return text

    monkeypatch.setattr(DiskFiles, "text", read_then_written_on)
    assert not (await bench.loader.reload(Cause.FILES)).failed
    assert bench.catalog.looked == 3
    [bound] = bench.policies.bound().tables.values()
    assert bound.denials


async def test_files_that_never_rest_are_not_loaded(bench: LoadingBench, monkeypatch: pytest.MonkeyPatch) -> None:
    read = DiskFiles.text

    def read_then_changed(files: DiskFiles, path: Path) -> str:
        text = read(files, path)
        path.write_text(text + "#\n")
        return text

    monkeypatch.setattr(DiskFiles, "text", read_then_changed)
    outcome = await bench.loader.reload(Cause.FILES)
    assert "files change while they are read" in outcome.problems[0]
    assert bench.grants() == {"first"}


async def test_the_event_loop_goes_on_while_a_policy_is_read(
    bench: LoadingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, read = threading.Event(), DiskFiles.text

    def slow(files: DiskFiles, path: Path) -> str:
        release.wait(20)
        return read(files, path)

    monkeypatch.setattr(DiskFiles, "text", slow)
    reload = asyncio.create_task(bench.loader.reload(Cause.FILES))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not reload.done()
    release.set()
    assert not (await reload).failed


async def test_nothing_changes_where_the_audit_cannot_be_written(bench: LoadingBench) -> None:
    await bench.audit.close()
    bench.write("second")
    outcome = await bench.loader.reload(Cause.FILES)
    assert outcome.failed
    assert not outcome.lasting
    assert bench.grants() == {"first"}


async def test_an_amended_policy_takes_its_turn_with_loads(bench: LoadingBench) -> None:
    bench.catalog.gate = asyncio.Event()
    bench.write("second")
    load = asyncio.create_task(bench.loader.reload(Cause.FILES))
    await looking(bench)
    seen: list[LoadedPolicy] = []

    async def same(policy: LoadedPolicy) -> LoadedPolicy:
        seen.append(policy)
        return policy

    amend = asyncio.create_task(bench.loader.amend(Cause.RULES, same))
    await asyncio.sleep(0.02)
    assert not seen
    bench.catalog.gate.set()
    await asyncio.gather(load, amend)
    assert [policy.bound for policy in seen] == [bench.policies.bound()]
    assert bench.grants() == {"second"}


async def test_an_amendment_does_not_hide_that_the_files_are_broken(bench: LoadingBench) -> None:
    bench.policy_file.write_text("version: 2\n")
    await bench.loader.reload(Cause.FILES)

    async def same(policy: LoadedPolicy) -> LoadedPolicy:
        return policy

    assert not (await bench.loader.amend(Cause.RULES, same)).failed
    assert bench.loader.failure is not None

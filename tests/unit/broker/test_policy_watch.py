"""Policy files that change are noticed, once they have come to rest."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.broker.policy_watch import PolicyWatch
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading import file_trees
from penstock_server.policy.reading.file_trees import DiskDigests, DiskFiles
from support.loading import LoadingBench, loading_bench

RULES = """\
row_rules:
  - resource: lake.nyc.flights
    name: regions
    rules: {file: ../elsewhere/rules.csv}
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LoadingBench]:
    made = loading_bench(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "rules.csv").write_text("UserName,origin\nalice,JFK\n")
    made.policy_file.write_text(made.policy_file.read_text() + RULES)
    await made.loader.start()
    watch = PolicyWatch(made.loader, DiskDigests(made.settings.policies), poll=timedelta(milliseconds=20))
    watch.start()
    yield made
    await watch.close()
    await made.loader.close()
    await made.audit.close()


async def loads(bench: LoadingBench) -> int:
    return len(await bench.records("policy.loaded")) + len(await bench.records("policy.load_failed"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def test_a_changed_policy_is_loaded(bench: LoadingBench) -> None:
    bench.write("second")
    await until(lambda: bench.grants() == {"second"})


async def test_a_changed_rules_dataset_is_loaded_wherever_it_lies(bench: LoadingBench) -> None:
    before = bench.policies.bound().version
    (bench.folder / "elsewhere" / "rules.csv").write_text("UserName,origin\nalice,LGA\n")
    await until(lambda: bench.policies.bound().version != before)


async def test_a_new_file_and_a_removed_one_are_noticed(bench: LoadingBench) -> None:
    further = bench.policy_file.with_name("further.yaml")
    further.write_text(bench.policy_file.read_text().partition("row_rules")[0].replace("first", "further"))
    await until(lambda: bench.grants() == {"first", "further"})
    further.unlink()
    await until(lambda: bench.grants() == {"first"})


async def test_a_broken_file_is_loaded_once_and_its_repair_again(bench: LoadingBench) -> None:
    bench.policy_file.write_text("version: 2\n")
    await until(lambda: bench.loader.failure is not None)
    await asyncio.sleep(0.3)
    assert await loads(bench) == 2
    assert bench.grants() == {"first"}
    bench.write("mended")
    await until(lambda: bench.grants() == {"mended"})


async def test_a_file_that_was_touched_only_is_not_loaded(bench: LoadingBench) -> None:
    bench.policy_file.write_text(bench.policy_file.read_text())
    os.utime(bench.policy_file)
    await asyncio.sleep(0.3)
    assert await loads(bench) == 1


async def test_a_change_that_keeps_size_and_time_is_noticed(bench: LoadingBench) -> None:
    status = bench.policy_file.stat()
    text = bench.policy_file.read_text()
    bench.policy_file.write_text(text.replace("first", "other"))
    os.utime(bench.policy_file, ns=(status.st_atime_ns, status.st_mtime_ns))
    await until(lambda: bench.grants() == {"other"})


async def test_a_load_that_failed_by_no_fault_of_the_files_is_tried_again(bench: LoadingBench) -> None:
    bench.catalog.fails = Unavailable(Reason.WORKER_LOST, "no process", retry_after_seconds=1.0, detail="no zygote")
    bench.write("second")
    await until(lambda: bench.loader.failure is not None)
    bench.catalog.fails = None
    await until(lambda: bench.grants() == {"second"})


async def test_links_in_a_circle_are_a_problem_and_end_no_watch(bench: LoadingBench) -> None:
    circle = bench.policy_file.with_name("circle.yaml")
    circle.symlink_to(circle.name)
    await until(lambda: bench.loader.failure is not None)
    assert bench.loader.failure is not None
    assert bench.loader.failure.lasting
    assert bench.loader.failure.problems[0].startswith(f"{circle}: cannot be read")
    circle.unlink()
    bench.write("second")
    await until(lambda: bench.grants() == {"second"})


async def test_a_file_whose_name_is_no_text_ends_no_watch(bench: LoadingBench) -> None:
    odd = bench.policy_file.with_name(os.fsdecode(b"\xff.yaml"))
    odd.write_text("version: 2\n")
    await until(lambda: bench.loader.failure is not None)
    assert bench.grants() != {"second"}
    odd.unlink()
    bench.write("second")
    await until(lambda: bench.grants() == {"second"})


async def test_a_disk_that_fails_in_any_way_ends_no_watch(tmp_path: Path) -> None:
    bench = loading_bench(tmp_path)
    await bench.loader.start()

    class Failing(DiskDigests):
        """Fails at the first look, in a way that nobody thought of."""

        looks = 0

        def digest(self, rules_files: Iterable[Path]) -> bytes:
            self.looks += 1
            if self.looks == 1:
                raise RuntimeError("a disk of another kind")
            return super().digest(rules_files)

    watch = PolicyWatch(bench.loader, Failing(bench.settings.policies), poll=timedelta(milliseconds=1))
    watch.start()
    await until(lambda: bench.catalog.looked > 1)
    bench.write("second")
    await until(lambda: bench.grants() == {"second"})
    await watch.close()
    await bench.loader.close()
    await bench.audit.close()


async def test_nothing_is_loaded_while_somebody_writes(tmp_path: Path) -> None:
    bench = loading_bench(tmp_path)
    await bench.loader.start()
    written = bench.policy_file.read_text()
    looks: list[int] = []

    class Writing(DiskDigests):
        """Somebody writes on before each of the first looks."""

        def digest(self, rules_files: Iterable[Path]) -> bytes:
            if len(looks) < 10:
                bench.policy_file.write_text(f"{written}# {len(looks)}\n")
            looks.append(bench.catalog.looked)
            return super().digest(rules_files)

    watch = PolicyWatch(bench.loader, Writing(bench.settings.policies), poll=timedelta(milliseconds=1))
    watch.start()
    await until(lambda: bench.catalog.looked > 1)
    await watch.close()
    await bench.audit.close()
    assert looks[:11] == [1] * 11


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n")
    digests = DiskDigests((path,))
    monkeypatch.setattr(file_trees, "_SETTLED_NANOSECONDS", -1)
    first = digests.digest(())
    path_read: list[Path] = []
    monkeypatch.setattr(file_trees, "_digest_of", path_read.append)
    assert digests.digest(()) == first
    assert path_read == []


def test_files_that_changed_a_moment_ago_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks of file systems tick: a second change may leave the same size and times."""
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n")
    digests = DiskDigests((path,))
    monkeypatch.setattr(file_trees, "_SETTLED_NANOSECONDS", 10**18)
    first = digests.digest(())
    monkeypatch.setattr(file_trees, "_digest_of", lambda _: b"another content with the same stamp")
    assert digests.digest(()) != first


@pytest.mark.parametrize("content", [b"version: 1\n", b"\xff\xfe", b"", "version: 1 # \u20ac\r\n".encode()])
def test_a_load_and_a_look_agree_about_what_is_on_the_disk(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "policy.yaml").write_bytes(content)
    (tmp_path / "stray.json").write_text("{}")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "more.yml").symlink_to(tmp_path / "policy.yaml")
    files = DiskFiles((tmp_path, tmp_path / "missing"))
    for path in files.names(Problems()):
        with contextlib.suppress(ConfigurationError):
            files.text(path)
    assert DiskDigests((tmp_path, tmp_path / "missing")).digest(()) == files.digest()

"""One radosgw for the whole suite; `make test-ceph` runs it, `make test` does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ceph.cluster import running_cluster
from support.ceph.packages import CannotRun, installed
from support.ceph.world import LAKE, OTHER, Broker, World, running_broker, running_world

POLICY = (Path(__file__).parent / "policy.yaml").read_text()

SALES = ("sales/2026/one.csv", "sales/2026/two.csv", "sales/notes.txt")
OTHERS = (
    "sales-secret/plan.txt",
    "sales",
    "sales.csv",
    "Sales/2026/one.csv",
    "hr/salaries.csv",
    "exports/bob/out.csv",
    "exports/alice.csv",
    "secret.txt",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here; the hook sees the items of all folders."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ceph)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Ceph with buckets and objects. Where it cannot run, the suite fails and says what is missing."""
    try:
        ceph = installed()
    except CannotRun as error:
        pytest.exit(f"the suite for Ceph did not run: {error}", returncode=3)
    with running_cluster(ceph, tmp_path_factory.mktemp("ceph")) as cluster, running_world(cluster) as world:
        world.fill(LAKE, (*SALES, *OTHERS))
        world.fill(OTHER, ("sales/2026/one.csv",))
        yield world


@pytest.fixture(scope="session")
def broker(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Penstock with the policy of `policy.yaml`."""
    with running_broker(tmp_path_factory.mktemp("penstock"), world, POLICY) as running:
        yield running

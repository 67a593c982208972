"""A large estate: 10,000 grants, 100,000 users, 1,000,000 rows of rules, in CPU time: a busy machine does not count."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from random import Random

import pytest
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from penstock_server.policy.files import load
from support.policies import ISSUERS, NOW, principal, table, write_policies

TABLES = tuple(
    table(f"lake.db{n % 20}.t{n}", {**{f"c{i}": "VARCHAR" for i in range(10)}, "n": "INTEGER"}) for n in range(1000)
)
DATASETS = 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_decision_costs_what_applies_to_the_caller_and_not_the_estate(tmp_path: Path) -> None:
    random = Random(3)
    policies = write_policies(tmp_path, _files(random))
    started = time.process_time()
    policy = bind(load((policies,), ISSUERS), CatalogSnapshot(tables=TABLES), logins=frozenset())
    assert time.process_time() - started < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.5 * 1024 * 1024
    spent: list[float] = []
    selected = 0
    for number in range(200):
        asking = principal(f"user{number}", groups=[f"g{random.randrange(2000)}" for _ in range(30)])
        for _ in range(20):
            name = TABLES[random.randrange(DATASETS if random.random() < 0.3 else len(TABLES))].name
            before = time.thread_time()
            outcome = decide(policy, asking, name, facts=RequestFacts.of_instant(NOW))
            spent.append(time.thread_time() - before)
            selected += isinstance(outcome, TableDecision)
    assert selected > 2000
    assert sorted(spent)[int(len(spent) * 0.99)] < 0.001


def _files(random: Random) -> dict[str, str]:
    lines = ["version: 1", "grants:", *(_grant(random, number) for number in range(10_000)), "row_rules:"]
    lines += [f"  - {{resource: {TABLES[i].name}, name: r{i}, rules: {{file: r{i}.csv}}}}" for i in range(DATASETS)]
    datasets = {
        f"r{i}.csv": "UserName,GroupName,c3,c4\n"
        + "".join(f"user{random.randrange(100_000)},,v{random.randrange(500)},x\n" for _ in range(100_000))
        for i in range(DATASETS)
    }
    return {"policy.yaml": "\n".join(lines) + "\n", **datasets}


def _grant(random: Random, number: int) -> str:
    who = ", ".join(f'"group:g{group}"' for group in random.sample(range(2000), 3))
    if random.random() < 0.05:
        what = f"lake.db{random.randrange(20)}.*"
    else:
        what = str(TABLES[random.randrange(len(TABLES))].name)
        if random.random() < 0.5:
            what += f", columns: {{exclude: [c{random.randrange(10)}]}}"
        if random.random() < 0.5:
            what += f", rows: \"c1 IN ('a', 'b') AND n > {random.randrange(100)}\""
    return f"  - {{name: g{number}, principals: [{who}], permissions: [SELECT], resource: {what}}}"

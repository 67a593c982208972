"""A large estate: 10,000 grants, 100,000 users, 1,000,000 rows of rules, in CPU time: a busy machine does not count."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from random import Random

import pytest
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load
from support.large_estate import estate_of
from support.policies import ISSUERS, NOW


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_decision_costs_what_applies_to_the_caller_and_not_the_estate(tmp_path: Path) -> None:
    estate = estate_of(1)
    policies = estate.write(tmp_path)
    started = time.process_time()
    policy = bind(load((policies,), ISSUERS), estate.snapshot(), logins=frozenset())
    assert time.process_time() - started < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.5 * 1024 * 1024
    random = Random(3)
    spent: list[float] = []
    selected = 0
    for _ in range(200):
        asking = estate.someone(random)
        for _ in range(20):
            name = estate.something(random).name
            before = time.thread_time()
            outcome = decide(policy, asking, name, facts=RequestFacts.of_instant(NOW))
            spent.append(time.thread_time() - before)
            selected += isinstance(outcome, TableDecision)
    assert selected > 2000
    assert sorted(spent)[int(len(spent) * 0.99)] < 0.001

"""What a decision costs as the estate grows, and beside it Cedar deciding the same grants in the same process.

    PYTHONPATH=tests python -m bench.policy [SCALE ...]

Scale 1 is 10,000 grants, 100,000 principals with 30 groups each, 1,000,000 rows of rules (`support.large_estate`). Each
scale runs in a process of its own, so that peak memory is its own. Times are of the processor, of the fastest of three
passes over all questions: what else runs on the machine counts as little as it can.

Cedar gets one policy a grant with the same groups and resource, and answers allow or deny. It is asked twice: with the
whole set, as it stands, and with only the policies of the table and its database, chosen beforehand and for free. It
gets the entities of those who ask parsed beforehand too. What it does not do: filters of rows and columns, joined cell
by cell, rules datasets, the fingerprint and the end of the decision; all that is in the times of Penstock. Both must
agree on every allow and deny, or the benchmark fails.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from cedarpy import Entities, PolicySet, is_authorized
from penstock_server.model.decision import TableDecision, TableDescribed
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import TableSchema
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load
from support.large_estate import GROUPS, LargeEstate, LargeGrant, estate_of
from support.policies import ISSUERS, NOW

SCALES = (0.01, 0.1, 1.0)
PRINCIPALS, TABLES_EACH, WHOLE_SET, PASSES = 400, 20, 200, 3
Question = tuple[Principal, TableSchema]
Measured = dict[str, Any]


def measure(scale: float) -> Measured:
    """Measure one estate: Penstock first, so that its peak memory is its own."""
    estate = estate_of(scale)
    random = Random("questions")
    people = [estate.someone(random) for _ in range(PRINCIPALS)]
    questions = [(person, estate.something(random)) for person in people for _ in range(TABLES_EACH)]
    with tempfile.TemporaryDirectory() as folder:
        policies = estate.write(Path(folder))
        at_rest = _peak_mib()
        before = time.process_time()
        policy = bind(load((policies,), ISSUERS), estate.snapshot(), logins=frozenset())
        load_seconds = time.process_time() - before
    facts = RequestFacts.of_instant(NOW)
    allowed, times = timed(questions, lambda who, what: decide(policy, who, what.name, facts=facts))
    found = {
        "grants": estate.grants,
        "principals": estate.principals,
        "rule rows": estate.rule_rows,
        "load s": load_seconds,
        "peak MiB": _peak_mib(),
        "peak MiB before load": at_rest,
        "allowed": sum(allowed) / len(allowed),
        **_spread("", times),
        **_spread("allow ", [spent for spent, allow in zip(times, allowed, strict=True) if allow]),
    }
    return {**found, **_cedar(estate, people, questions, allowed)}


def timed(
    questions: Sequence[Question], ask: Callable[[Principal, TableSchema], Any]
) -> tuple[list[bool], list[float]]:
    """Give what was allowed, and the processor seconds of each answer in the fastest of some passes.

    Answers are dropped at once, as a server drops them: to keep them all would be paid for in garbage collection.
    """
    allowed: list[bool] = []
    fastest: list[float] = []
    for _ in range(PASSES):
        allowed, times = [], []
        for who, what in questions:
            before = time.thread_time()
            answer = ask(who, what)
            times.append(time.thread_time() - before)
            allowed.append(answer is True or isinstance(answer, TableDecision | TableDescribed))
        if not fastest or sum(times) < sum(fastest):
            fastest = times
    return allowed, fastest


def _cedar(
    estate: LargeEstate, people: Sequence[Principal], questions: Sequence[Question], allowed: Sequence[bool]
) -> Measured:
    grants = list(estate.all_grants())
    before = time.process_time()
    whole = PolicySet.from_str("\n".join(map(_permit, grants)))
    load_seconds = time.process_time() - before
    entities = _entities(estate, people)
    slices = _slices(estate, grants, sorted({int(what.name.table[1:]) for _, what in questions}))

    def ask(who: Principal, what: TableSchema, policies: PolicySet) -> bool:
        request = {
            "principal": {"type": "User", "id": who.username},
            "action": {"type": "Action", "id": "SELECT"},
            "resource": {"type": "Table", "id": what.name.table},
            "context": {},
        }
        return bool(is_authorized(request, policies, entities).allowed)

    some = questions[:: len(questions) // WHOLE_SET]
    answers, times = timed(some, lambda who, what: ask(who, what, whole))
    if answers != list(allowed[:: len(questions) // WHOLE_SET]):
        raise SystemExit("Cedar and Penstock disagree")
    sliced_answers, sliced_times = timed(questions, lambda who, what: ask(who, what, slices[what.name.table]))
    if sliced_answers != list(allowed):
        raise SystemExit("Cedar and Penstock disagree")
    return {"cedar load s": load_seconds, **_spread("cedar ", times), **_spread("cedar sliced ", sliced_times)}


def _permit(grant: LargeGrant) -> str:
    resource = f'== Table::"t{grant.table}"' if grant.table is not None else f'in Database::"db{grant.database}"'
    groups = ", ".join(f'Group::"g{group}"' for group in grant.groups)
    return f'permit(principal, action == Action::"SELECT", resource {resource}) when {{ principal in [{groups}] }};'


def _slices(estate: LargeEstate, grants: Sequence[LargeGrant], tables: Iterable[int]) -> dict[str, PolicySet]:
    on_table: defaultdict[int | None, list[LargeGrant]] = defaultdict(list)
    on_database: defaultdict[int | None, list[LargeGrant]] = defaultdict(list)
    for grant in grants:
        (on_database[grant.database] if grant.table is None else on_table[grant.table]).append(grant)
    return {
        f"t{number}": PolicySet.from_str(
            "\n".join(map(_permit, (*on_table[number], *on_database[number % estate.databases])))
        )
        for number in tables
    }


def _entities(estate: LargeEstate, people: Sequence[Principal]) -> Entities:
    def entity(kind: str, name: str, parents: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        above = [{"type": parent, "id": of} for parent, of in parents]
        return {"uid": {"type": kind, "id": name}, "attrs": {}, "parents": above}

    everyone = {str(who.username): who for who in people}
    listed = [entity("Group", f"g{number}") for number in range(GROUPS)]
    listed += [entity("Database", f"db{number}") for number in range(estate.databases)]
    listed += [
        entity("Table", f"t{number}", [("Database", f"db{number % estate.databases}")])
        for number in range(estate.tables)
    ]
    listed += [entity("User", name, [("Group", group.name) for group in who.groups]) for name, who in everyone.items()]
    return Entities.from_json_str(json.dumps(listed))


def _spread(what: str, times: Sequence[float]) -> Measured:
    ordered = sorted(times)
    return {
        f"{what}p50 ms": ordered[len(ordered) // 2] * 1e3,
        f"{what}p99 ms": ordered[int(len(ordered) * 0.99)] * 1e3,
        f"{what}decisions/s/core": len(ordered) / sum(ordered),
    }


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / 2**20


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(float(sys.argv[2]))))
        return
    scales = [float(scale) for scale in sys.argv[1:]] or SCALES
    found = []
    for scale in scales:
        command = [sys.executable, "-m", "bench.policy", "--one", str(scale)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"{'scale':<30}" + "".join(f"{scale:>14g}" for scale in scales))
    for key in found[0]:
        print(
            f"{key:<30}" + "".join(f"{one[key]:>14,.3f}" if one[key] < 100 else f"{one[key]:>14,.0f}" for one in found)
        )
    last = found[-1]
    whole, sliced = (last[f"{kind}p50 ms"] / last["p50 ms"] for kind in ("cedar ", "cedar sliced "))
    print(
        f"at scale {scales[-1]:g} Penstock decides {whole:,.1f} times as fast as Cedar with the whole set of policies,"
    )
    print(f"and {sliced:,.2f} times as fast as Cedar with those of the table chosen beforehand (medians)")


if __name__ == "__main__":
    main()

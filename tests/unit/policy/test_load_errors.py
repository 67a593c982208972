"""Every way in which a policy is refused: file, line and reason, `tests/vectors/policy/*load_errors.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from penstock_server.errors import ConfigurationError
from penstock_server.policy.reading.files import load
from support.policies import ISSUERS, bind_policy, table, write_policies

VECTORS = Path(__file__).parents[2] / "vectors" / "policy"

TABLES = (
    table(
        "lake.db.t",
        {
            "i": "INTEGER",
            "s": "VARCHAR",
            "status": "VARCHAR",
            "d": "DOUBLE",
            "f": "FLOAT",
            "r": "DATE",
            "b": "BOOLEAN",
            "dec": "DECIMAL(15,2)",
            "ts": "TIMESTAMP",
            "tz": "TIMESTAMP WITH TIME ZONE",
            "n": "STRUCT(zip VARCHAR)",
            "tiny": "TINYINT",
            "u": "UINTEGER",
        },
    ),
    table("lake.db.u", {"i": "INTEGER"}),
    table(
        "nested.db.t",
        {
            "s": 'STRUCT(city VARCHAR, zip VARCHAR, geo STRUCT(lat DOUBLE, lon DOUBLE), "a.b" INTEGER)',
            "a.b": "INTEGER",
            "a": "STRUCT(b INTEGER, c INTEGER)",
            "l": "STRUCT(a INTEGER)[]",
            "m": "MAP(VARCHAR, STRUCT(k INTEGER))",
            "lone": "STRUCT(x INTEGER)",
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    id: str
    policy: str
    problems: list[str]
    rules: str | None = None


CASES = [
    Vector(**case)
    for vectors in sorted(VECTORS.glob("*load_errors.yaml"))
    for case in yaml.safe_load(vectors.read_text())
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_wrong_policy_is_refused_with_file_line_and_reason(case: Vector, tmp_path: Path) -> None:
    files = {} if case.rules is None else {"rules": case.rules}
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(tmp_path, case.policy, *TABLES, logins=["analytics"], **files)
    assert [problem.replace(f"{tmp_path}/policies/", "") for problem in caught.value.problems] == case.problems


def test_every_vector_has_a_name_of_its_own() -> None:
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names) > 200


def test_all_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    policies = write_policies(
        tmp_path,
        {
            "a.yaml": "version: 1\ngrants:\n  - {name: g, principals: [x], resource: lake, permissions: [ALL]}\n",
            "b.yaml": "version: 2\n",
            "c.yaml": "version: 1\nversion: 1\n",
            "d.yaml": "version: 1\nmasks: {m: {rank: x}}\n",
        },
    )
    with pytest.raises(ConfigurationError) as caught:
        load((policies,), ISSUERS)
    places = [problem.replace(f"{policies}/", "").split(": ", 1)[0] for problem in caught.value.problems]
    assert places == ["a.yaml:3", "a.yaml:3", "a.yaml:3", "b.yaml:1", "c.yaml:2", "d.yaml:2", "d.yaml:2"]


def test_problems_stand_in_the_order_of_the_lines_not_of_the_finding(tmp_path: Path) -> None:
    lines = ["version: 1", "grants:"]
    for index in range(12):
        what = "columns: {include: [nope]}" if index % 2 else "rows: 'nope = 1'"
        lines.append(
            f"  - {{name: g{index}, principals: [everyone], resource: lake.db.t, permissions: [SELECT], {what}}}"
        )
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(tmp_path, "\n".join(lines) + "\n", *TABLES)
    found = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert found == list(range(3, 15))

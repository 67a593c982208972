"""The golden vectors of decisions on structs: `tests/vectors/policy/struct_decisions.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide

from support.policies import NOW, bind_policy, name_of, principal, table

TABLE = "lake.db.t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """`columns` are names with types; `whole` are the columns that are not rebuilt, where it matters."""

    columns: dict[str, str]
    rows: list[list[Any]]
    whole: list[str] | None = None
    masked: list[list[str]] = field(default_factory=list)
    partly_null: list[str] = field(default_factory=list)
    columns_left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StructVector:
    id: str
    columns: dict[str, str]
    rows: list[list[Any]]
    policy: str
    expected: Expectation

    def decision(self, folder: Path) -> TableDecision:
        """Decide for alice, whose zip is 10001."""
        policy = bind_policy(folder, self.policy, table(TABLE, self.columns))
        asking = principal("alice", attributes={"zip": ("10001",)})
        outcome = decide(policy, asking, name_of(TABLE), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        return outcome


_FILE = Path(__file__).parents[1] / "vectors" / "policy" / "struct_decisions.yaml"
STRUCT_VECTORS = [
    StructVector(
        id=case["id"],
        columns=case["columns"],
        rows=case["rows"],
        policy=case["policy"],
        expected=Expectation(**case["expect"]),
    )
    for case in yaml.safe_load(_FILE.read_text())
]

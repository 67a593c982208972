"""Holds a plan against an oracle: is a verdict sound, and does every witness see what it is said to see?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.conditions.keys import POSTURE
from penstock_server.policy.proof.budget import Budget
from penstock_server.policy.proof.comparison import compare_table
from penstock_server.policy.proof.findings import (
    Finding,
    FindingKind,
    Narrowing,
    Same,
    Undecided,
    Verdict,
    Widening,
)
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import table_pair

from support.policies import NOW, bind_policy, name_of, principal, table
from support.policy_grid import Difference, Person, View, differences, look, tells_more
from support.policy_pairs import LATER, TABLE, Policy, as_text, declared, nested
from support.random_pairs import Feature, random_pair

EXACT = Budget(work=1_500_000, pattern_states=400, text_states=20_000)
"""Patterns are split exactly."""
_UNNAMED = "a subject that no rule names"
LAZY = Budget(work=1_500_000, pattern_states=1, text_states=20_000)
"""Every pattern is a free truth value, and texts are looked for."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One pair: `unsound` and `unconfirmed` say what is wrong with the plan, if anything."""

    verdict: Verdict
    unsound: str
    unconfirmed: str
    oracle: Difference
    by_design: bool
    """Of what the pair says the proof knows too little, so that it may be undecided."""


def check_pair(
    old: Policy, new: Policy, folder: Path, *, budget: Budget, with_grid: bool = True, structs: bool = False
) -> Checked:
    """Compare two policies, by proof and on the grid; with `structs` some columns are fields for the proof."""
    first, second = (nested(old), nested(new)) if structs else (old, new)
    verdict = _verdict(bound(first, folder), bound(second, folder), budget)
    if old.denying or new.denying:
        # No reading: whatever the grid says, a verdict of one would be wrong.
        oracle = Difference(more=("rules that deny",), other=True)
    else:
        oracle = differences(old, new) if with_grid else Difference(more=(), other=False)
    unsound = ""
    if oracle.more and isinstance(verdict, Same | Narrowing):
        unsound = f"{type(verdict).__name__}, but {oracle.more[0]}"
    elif oracle.other and isinstance(verdict, Same):
        unsound = "Same, but something is seen otherwise"
    unconfirmed = ""
    if isinstance(verdict, Widening):
        wrong = [gain for gain in verdict.gains if old.denying or new.denying or not bears_out(_flat(gain), old, new)]
        unconfirmed = f"{wrong[0]}" if wrong else ""
    by_design = old.denying or new.denying or "'my subject'" in repr((old, new))
    return Checked(verdict=verdict, unsound=unsound, unconfirmed=unconfirmed, oracle=oracle, by_design=by_design)


def _verdict(old: BoundPolicy, new: BoundPolicy, budget: Budget) -> Verdict:
    try:
        pair = table_pair(old, new, name_of(TABLE).key())
    except NotUnderstood as error:
        return Undecided(reasons=(str(error),))
    return compare_table(pair, since=NOW, budget=budget, only=None)


def _flat(finding: Finding) -> Finding:
    """Name fields by their last names, as the oracle does."""
    row = tuple((name.rpartition(".")[2], value) for name, value in finding.example.row)
    things = tuple(thing.rpartition(".")[2] for thing in finding.things)
    return replace(finding, things=things, example=replace(finding.example, row=row))


def checked_pairs(
    seed: str,
    count: int,
    folder: Path,
    *,
    budget: Budget,
    patterns: bool,
    structs: bool = False,
    feature: Feature | None = None,
) -> Iterator[Checked]:
    """Check so many random pairs."""
    for number in range(count):
        old, new = random_pair(Random(f"{seed}-{number}"), patterns=patterns, feature=feature)
        checked = check_pair(old, new, folder, budget=budget, structs=structs)
        where = f"{seed}-{number}: "
        yield Checked(
            verdict=checked.verdict,
            unsound=checked.unsound and where + checked.unsound,
            unconfirmed=checked.unconfirmed and where + checked.unconfirmed,
            oracle=checked.oracle,
            by_design=checked.by_design,
        )


def bound(policy: Policy, folder: Path) -> BoundPolicy:
    """Bind a policy to its table, which may get further columns later."""
    schema = table(TABLE, declared(policy.columns), "bucket/t/")
    (extended,) = with_later_columns(CatalogSnapshot(tables=(schema,))).tables
    text, rules = as_text(policy)
    return bind_policy(folder, text, extended, **({"rules": rules} if rules else {}))


def bears_out(finding: Finding, old: Policy, new: Policy) -> bool:
    """Tell whether the oracle sees what a gain says, for its principal and its row."""
    who = finding.example.who
    person = Person(
        username=who.username,
        subject=principal(issuer=who.issuer, subject=who.subject or _UNNAMED).subject_digest().hex(),
        groups=frozenset(group.name for group in who.groups),
        dept=dict(who.attributes).get("dept", ()),
        met=frozenset(
            name.removeprefix(POSTURE).partition("/")[0]
            for name, values in finding.example.given
            if name.startswith(POSTURE) and values
        ),
    )
    ended = finding.example.at >= LATER
    shown = {name: parse_shown(value, name) for name, value in finding.example.row}
    # Columns that the witness leaves out can have any value.
    row = {name: shown.get(name) for name in old.columns}
    before, after = View(old, person, ended, row), View(new, person, ended, row)
    match finding.kind:
        case FindingKind.COLUMN:
            return set(finding.things) <= after.names and not before.names & set(finding.things)
        case FindingKind.ROW:
            return bool(after.rows.all()) and not before.rows.any()
        case FindingKind.OPEN_FILES:
            return after.full and not before.full
        case FindingKind.FILES:
            return after.files and not before.files
        case FindingKind.LATER_COLUMNS:
            return "later" in after.names - before.names or _tells_more("later", before, after)
        case _:
            return all(_tells_more(column, before, after) for column in finding.things)


def _tells_more(column: str, before: View, after: View) -> bool:
    first = look(int(before.levels[column].max()), column)
    second = look(int(after.levels[column].max()), column)
    return tells_more(second, first, column, before.policy)


def parse_shown(text: str, column: str) -> Any:
    """Read a value as a witness writes it."""
    if text == "NULL":
        return None
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in {"TRUE", "FALSE"}:
        return text == "TRUE"
    stamp = re.search(r"TIMESTAMP '([^']*)'", text)
    if stamp is not None:
        exact = datetime.fromisoformat(stamp[1])
        return exact if text.startswith("TIMESTAMP") else exact + timedelta(microseconds=1)
    if text == "NaN":
        return math.nan
    return {"i": int, "m": Decimal, "x": float}[column](text)


def is_decided(verdict: Verdict) -> bool:
    """Tell whether a verdict says something, and says it in full."""
    return not isinstance(verdict, Undecided) and not (isinstance(verdict, Narrowing) and not verdict.losses)

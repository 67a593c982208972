"""What administrators learn about policies, by `Broker.policy`: problems, and what a change would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from penstock.errors import InvalidRequest, invalid

_SUFFIXES = frozenset({".yaml", ".yml", ".csv"})

PolicyFiles = str | Path | Mapping[str, str | bytes]
"""A policy file or a folder of policies on this machine, or the files themselves: texts by relative names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProblem:
    """What is wrong with a policy. `path` and `line` are "" and 0 where there is no single place."""

    path: str
    line: int
    description: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.description}" if place else self.description


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValidation:
    """Whether a policy could be loaded. `policy_version` is empty where it could not."""

    problems: tuple[PolicyProblem, ...]
    warnings: tuple[PolicyProblem, ...]
    policy_version: str

    @property
    def valid(self) -> bool:
        """Whether the policy could be loaded."""
        return bool(self.policy_version) and not self.problems


class PolicyVerdict(StrEnum):
    """What a change of policy does. UNDECIDED = whether somebody sees more is not known."""

    SAME = "same"
    NARROWING = "narrowing"
    WIDENING = "widening"
    UNDECIDED = "undecided"


Facts = tuple[tuple[str, tuple[str, ...]], ...]
"""Pairs of a name and its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """Somebody who sees a change: since when, and in which circumstances and row, by the values that matter."""

    issuer: str
    username: str
    groups: tuple[str, ...]
    attributes: Facts
    circumstances: Facts
    row: Facts
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One thing that is seen in one version and not in the other, or otherwise; `sentence` says it in words."""

    sentence: str
    kind: str
    things: tuple[str, ...]
    before: str
    after: str
    witness: PolicyWitness


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyClass:
    """What a change does for principals alike."""

    principals: str
    verdict: PolicyVerdict
    gains: tuple[PolicyChange, ...]
    losses: tuple[PolicyChange, ...]
    open_questions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInference:
    """A hidden column that betrays itself: two rows that differ in it alone, of which only the first is seen."""

    sentence: str
    column: str
    betrayed_by: str
    shown: Facts
    hidden: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySubject:
    """What a change does to one table, bucket or login."""

    kind: str
    name: str
    verdict: PolicyVerdict
    classes: tuple[PolicyClass, ...]
    inferences: tuple[PolicyInference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlan:
    """What a policy would do in place of the one that decides; `str(plan)` is the plan as text.

    `left_out` counts subjects for which the answer had no room; `verdict` speaks of them too.
    """

    old_policy_version: str
    new_policy_version: str
    verdict: PolicyVerdict
    since: datetime
    subjects: tuple[PolicySubject, ...]
    unchanged: int
    left_out: int
    text: str

    @property
    def safe(self) -> bool:
        """Whether nobody would see more: proved."""
        return self.verdict in {PolicyVerdict.SAME, PolicyVerdict.NARROWING}

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReload:
    """How a reload ended; where it did not load, nothing has changed and `problems` say why."""

    loaded: bool
    policy_version: str
    problems: tuple[PolicyProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """The version that decides. `reload_problems` tell administrators why the files could not be loaded."""

    policy_version: str
    bound_at: datetime
    reload_failed: bool
    reload_problems: tuple[PolicyProblem, ...]


def read(files: PolicyFiles) -> dict[str, bytes]:
    """Give the contents of policy files by the names that are sent.

    Raises:
        InvalidRequest: a file cannot be read, or there is none.
    """
    if isinstance(files, Mapping):
        return {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    root = Path(files)
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    base = root.parent if root.is_file() else root
    found = {path.relative_to(base): path for path in paths}
    named = {
        name.as_posix(): path
        for name, path in found.items()
        if name.suffix in _SUFFIXES and not any(part.startswith(".") for part in name.parts)
    }
    if not named:
        raise _unreadable(f"`{files}` holds no policy file")
    try:
        return {name: path.read_bytes() for name, path in named.items()}
    except OSError as error:
        raise _unreadable(f"`{error.filename}` cannot be read: {error.strerror}") from error


def _unreadable(rule: str) -> InvalidRequest:
    return invalid("files", rule)

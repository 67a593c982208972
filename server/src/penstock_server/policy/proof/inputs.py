"""What a comparison reads of a bound policy: everything that decides, in the proof's own terms, and nothing else.

Equal inputs mean equal decisions. INVARIANT: `reading` makes them, and nothing else of this package looks into a bound
policy, but for `confirmation`, which asks the serving evaluator.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import S3Location, S3Permission, TableName, TablePermission
from penstock_server.model.schema import ColumnType
from penstock_server.policy.conditions.block import Condition, NullCondition
from penstock_server.policy.proof.globs import Glob
from penstock_server.policy.proof.scales import Point
from penstock_server.policy.proof.terms import Term

AnyCondition = Condition | NullCondition
"""A condition on a grant: compared as a whole, so that all of it counts, whatever it means."""


class Tells(Enum):
    """What a mask tells of the value."""

    NOTHING = auto()
    """It is one constant."""
    NULLNESS = auto()
    """It tells NULL from everything else, and no more."""
    MORE = auto()
    """It is computed from the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskInput:
    """A mask. Equal definitions show the same for every value, whatever their names and ranks.

    `shows_null` = it shows NULL whatever the value, just as a cell that no filter shows.
    """

    name: str
    rank: int
    tells: Tells
    shows_null: bool
    definition: Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterInput:
    """Columns (None = all, those to come too) and rows that are shown together; `masks` are sorted by column."""

    columns: frozenset[str] | None
    rows: Term
    masks: tuple[tuple[str, MaskInput], ...]
    everything: bool
    """It shows all rows as they are, so that the files of the table hide nothing from those that it is for."""

    def shows(self, column: str) -> bool:
        """Tell whether the column is among those that it shows."""
        return self.columns is None or column in self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantInput:
    """A grant on one table, with all principals that it names."""

    name: str
    selectors: frozenset[PrincipalSelector]
    permissions: frozenset[TablePermission]
    filters: tuple[FilterInput, ...]
    expires: datetime | None
    conditions: frozenset[AnyCondition]


RuleInput = tuple[frozenset[Point] | None, ...]
"""One row of a rules dataset: the values of each column, None = not restricted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """A rules dataset: the rows that each selector brings, as a set; from `fresh_until` on it shows nobody a row."""

    name: str
    columns: tuple[str, ...]
    rules: Mapping[PrincipalSelector, frozenset[RuleInput]]
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialInput:
    """A denial on one table, for everybody whom it does not spare."""

    permissions: frozenset[TablePermission]
    spared: frozenset[PrincipalSelector]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInput:
    """All that decides about one table. `columns` are those of the catalog, in its order; grants are by name.

    Of a struct they are its fields, each named by its path: it shows no more than they do. `structs` are the structs
    themselves, which tests for NULL may speak of; a row in which a struct is NULL and its field is not counts as one.

    `column_rules` close columns to everybody whom they do not name; `column_denials` are, for each denial that closes a
    column, those whom it spares. `files_spared` are the same for each denial on S3 that reaches the location.
    """

    name: TableName
    columns: tuple[tuple[str, ColumnType], ...]
    structs: tuple[tuple[str, ColumnType], ...]
    location: S3Location | None
    grants: tuple[GrantInput, ...]
    datasets: tuple[DatasetInput, ...]
    column_rules: Mapping[str, frozenset[PrincipalSelector]]
    column_denials: Mapping[str, frozenset[frozenset[PrincipalSelector]]]
    denials: frozenset[DenialInput]
    files_spared: frozenset[frozenset[PrincipalSelector]]
    default_issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class S3GrantInput:
    """A grant on the objects of one bucket whose keys match."""

    name: str
    selectors: frozenset[PrincipalSelector]
    bucket: str
    glob: Glob
    permissions: frozenset[S3Permission]
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: frozenset[AnyCondition]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3DenialInput:
    """A denial on the objects of one bucket whose keys match, for everybody whom it does not spare."""

    bucket: str
    glob: Glob
    permissions: frozenset[S3Permission]
    spared: frozenset[PrincipalSelector]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginGrantInput:
    """A grant of one Redshift login."""

    name: str
    selectors: frozenset[PrincipalSelector]
    database_groups: frozenset[str]
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: frozenset[AnyCondition]


def further_selectors(table: TableInput) -> Iterator[PrincipalSelector]:
    """Give all selectors of a table beside those of its grants and rules datasets."""
    for named in (*table.column_rules.values(), *table.files_spared):
        yield from named
    for denial in table.denials:
        yield from denial.spared
    for denials in table.column_denials.values():
        for spared in denials:
            yield from spared

"""Estates of any size: grants, rules datasets and the people who ask, for the scale test and the benchmark.

At scale 1 an estate has 10,000 grants on 1,000 tables of 20 databases, 100,000 principals, and 1,000,000 rows of rules
in ten datasets. At another scale all of these grow alike. There are always 2,000 groups, of which each grant names 3
and each principal has 30, so that as many grants apply to a principal on a table at every scale: one or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from penstock_server.model.principal import Principal
from penstock_server.model.schema import CatalogSnapshot, TableSchema

from support.policies import principal, table, write_policies

DATASETS = 10
GROUPS, GROUPS_OF_A_PRINCIPAL, GROUPS_OF_A_GRANT = 2_000, 30, 3
_COLUMNS = {**{f"c{number}": "VARCHAR" for number in range(10)}, "n": "INTEGER"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeGrant:
    """One grant: `database` where it is on all tables of one, else `table`; both are numbers."""

    name: str
    groups: tuple[int, ...]
    table: int | None
    database: int | None
    hidden_column: int | None
    rows: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeEstate:
    """An estate of so many of each."""

    seed: int
    grants: int
    tables: int
    databases: int
    principals: int
    rule_rows: int

    def snapshot(self) -> CatalogSnapshot:
        """Give the catalog."""
        return CatalogSnapshot(tables=tuple(self.table(number) for number in range(self.tables)))

    def table(self, number: int) -> TableSchema:
        """Give one table; the first ten have rules datasets."""
        return table(f"lake.db{number % self.databases}.t{number}", _COLUMNS)

    def all_grants(self) -> Iterator[LargeGrant]:
        """Give the grants: one in twenty on a database, half of the others on some columns."""
        random = Random(f"grants {self.seed}")
        for number in range(self.grants):
            on_database = random.random() < 0.05
            yield LargeGrant(
                name=f"g{number}",
                groups=tuple(random.sample(range(GROUPS), GROUPS_OF_A_GRANT)),
                table=None if on_database else random.randrange(self.tables),
                database=random.randrange(self.databases) if on_database else None,
                hidden_column=None if on_database or random.random() < 0.5 else random.randrange(10),
                rows=None
                if on_database or random.random() < 0.5
                else f"c1 IN ('a', 'b') AND n > {random.randrange(99)}",
            )

    def write(self, folder: Path) -> Path:
        """Write the policy file and its rules datasets; give the folder of policies."""
        random = Random(f"rules {self.seed}")
        lines = ["version: 1", "grants:", *map(self._printed, self.all_grants()), "row_rules:"]
        files = {}
        for number in range(DATASETS):
            name = self.table(number).name
            lines.append(f"  - {{resource: {name}, name: r{number}, rules: {{file: r{number}.csv}}}}")
            rules = (self._rule(random) for _ in range(self.rule_rows // DATASETS))
            files[f"r{number}.csv"] = "UserName,GroupName,c3,c4\n" + "".join(rules)
        return write_policies(folder, {"policy.yaml": "\n".join(lines) + "\n", **files})

    def someone(self, random: Random) -> Principal:
        """Give one of the principals, with groups that are always theirs."""
        number = random.randrange(self.principals)
        own = Random(f"groups {self.seed} {number}")
        groups = {f"g{own.randrange(GROUPS)}" for _ in range(GROUPS_OF_A_PRINCIPAL)}
        return principal(f"user{number}", groups=groups)

    def something(self, random: Random) -> TableSchema:
        """Give a table to ask for; three in ten times one with rules."""
        return self.table(random.randrange(DATASETS if random.random() < 0.3 else self.tables))

    def _printed(self, grant: LargeGrant) -> str:
        who = ", ".join(f'"group:g{group}"' for group in grant.groups)
        what = f"lake.db{grant.database}.*" if grant.table is None else str(self.table(grant.table).name)
        if grant.hidden_column is not None:
            what += f", columns: {{exclude: [c{grant.hidden_column}]}}"
        if grant.rows is not None:
            what += f', rows: "{grant.rows}"'
        return f"  - {{name: {grant.name}, principals: [{who}], permissions: [SELECT], resource: {what}}}"

    def _rule(self, random: Random) -> str:
        return f"user{random.randrange(self.principals)},,v{random.randrange(500)},x\n"


def estate_of(scale: float, seed: int = 3) -> LargeEstate:
    """Give an estate by its scale; 1 is what the product is built for."""

    def scaled(count: int) -> int:
        return max(DATASETS, round(count * scale))

    return LargeEstate(
        seed=seed,
        grants=scaled(10_000),
        tables=scaled(1_000),
        databases=max(1, round(20 * scale)),
        principals=scaled(100_000),
        rule_rows=scaled(1_000_000),
    )

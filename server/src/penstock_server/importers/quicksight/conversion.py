"""A QuickSight dataset with its rules to a policy file, compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from penstock_server.errors import ConfigurationError
from penstock_server.importers.outcome import Compared, Imported, LeftOut, PolicyFile
from penstock_server.importers.policy_text import Mapping as Entries
from penstock_server.importers.policy_text import Value, print_policy
from penstock_server.importers.principals import MappedPrincipal, PrincipalMapping
from penstock_server.importers.quicksight.dataset import DataSet
from penstock_server.importers.quicksight.semantics import reader_view
from penstock_server.importers.quicksight.sheet import Sheet, SheetRow
from penstock_server.importers.quicksight.translation import Translated, denies, normalized, row_identity, translate
from penstock_server.importers.witnesses import bound, view, witness
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import TableName
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.table_patterns import TablePattern

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._-]+", re.ASCII)
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the dataset is here: a table of `snapshot`, and `readers`, those with whom it is shared.

    `allow_deny` where rules that deny are to be kept as they are.
    """

    schema: TableSchema
    snapshot: CatalogSnapshot
    readers: tuple[MappedPrincipal, ...]
    allow_deny: bool


def convert(
    dataset: DataSet,
    sheet: Sheet | None,
    target: Target,
    mapping: PrincipalMapping,
    issuers: KnownIssuers,
    *,
    at: datetime,
) -> Imported:
    """Give the policy file that shows the readers what the dataset shows them, as far as that can be said exactly.

    Raises:
        ConfigurationError: a principal is mapped twice.
    """
    try:
        principals = normalized(mapping, dataset.account)
    except ValueError as error:
        raise ConfigurationError((f"mapping: {error}",)) from error
    found = translate(dataset, sheet, target.schema, principals, allow_deny=target.allow_deny)
    if not target.readers and not found.closed:
        reason = "with whom it is shared was not stated, so nobody gets a grant"
        found.left_out.append(LeftOut(place=dataset.place, what=f"the dataset `{dataset.name}`", reason=reason))
        found.closed = True
    if found.closed:
        return Imported(
            name=_slug(target.schema.name), files=(), left_out=tuple(sorted(found.left_out)), compared=(), sources=()
        )
    files = _files(dataset, found, target)
    policy = bound(files, target.snapshot, issuers)
    return Imported(
        name=_slug(target.schema.name),
        files=files,
        left_out=tuple(sorted(found.left_out)),
        compared=tuple(_compare(dataset, sheet, found, policy=policy, target=target, principals=principals, at=at)),
        sources=tuple(found.sources),
    )


def _files(dataset: DataSet, found: Translated, target: Target) -> tuple[PolicyFile, ...]:
    name = target.schema.name
    slug = _slug(name)
    resource = str(TablePattern(catalog=name.catalog, database=name.database, table=name.table))
    written: list[Value] = [reader.written for reader in target.readers]
    columns: list[Value] = list(found.columns)
    grant: Entries = (
        ("name", slug),
        ("principals", written),
        ("resource", resource),
        ("permissions", ["SELECT"]),
        ("columns", (("include", columns),)),
    )
    found.sources.append((slug, f"{dataset.place}: the dataset `{dataset.name}`"))
    entries: Entries = (("version", 1), ("grants", [grant]))
    files: tuple[PolicyFile, ...] = ()
    if found.rules is not None:
        rules: Entries = (
            ("resource", resource),
            ("name", slug),
            ("status", "enabled"),
            ("permission_policy", "DENY_ACCESS" if denies(dataset) else "GRANT_ACCESS"),
            *((("allow_deny", True),) if denies(dataset) else ()),
            ("rules", (("file", f"{slug}.csv"),)),
        )
        entries = (*entries, ("row_rules", [rules]))
        files = (PolicyFile(name=f"{slug}.csv", text=found.rules),)
    if found.column_rules:
        entries = (*entries, ("column_rules", [_column_rule(resource, *rule) for rule in found.column_rules]))
    comment = (
        f"What QuickSight shows of {resource}.",
        "The report beside this file says what each entry was made from, and what was left out.",
    )
    return (PolicyFile(name=f"{slug}.yaml", text=print_policy(entries, comment=comment)), *files)


def _slug(name: TableName) -> str:
    """Give what the files and the entries of a table are called."""
    return "quicksight-" + _NOT_IN_NAMES.sub("-", f"{name.database}.{name.table}".lower())[:_LONGEST_NAME]


def _column_rule(resource: str, columns: tuple[str, ...], principals: tuple[str, ...]) -> Entries:
    names: list[Value] = list(columns)
    written: list[Value] = list(principals)
    return (("resource", resource), ("columns", names), ("principals", written))


def _compare(
    dataset: DataSet,
    sheet: Sheet | None,
    found: Translated,
    *,
    policy: BoundPolicy,
    target: Target,
    principals: Mapping[str, MappedPrincipal],
    at: datetime,
) -> Iterator[Compared]:
    """Compare each reader alone, and each whom the rules name as one of the readers."""
    kept = _by_identity(dataset, sheet, found.kept_rows)
    every = _by_identity(dataset, sheet, () if sheet is None else sheet.rows)
    named = sorted((set(every) | {who for rule in dataset.column_rules for who in rule.principals}) & set(principals))
    for reader in target.readers:
        as_reader = [key for key, value in principals.items() if value.selector == reader.selector]
        for who in named if as_reader else [None, *named]:
            alone = who is None or principals[who].selector == reader.selector
            someone = witness({reader.selector} | ({principals[who].selector} if who is not None else set()), at=at)
            if someone is None:
                continue
            if denies(dataset) and someone.username is None:
                # Everybody has a name in QuickSight; here a name that no rule can hold.
                someone = replace(someone, username="\0")
            identities = frozenset([who] if who is not None else []) | frozenset([] if alone else as_reader)
            rows = [row for key in identities for row in kept.get(key, ())]
            yield Compared(
                who=who or "a reader whom no rule names",
                selector=reader.written if who is None or alone else f"{reader.written} + {principals[who].written}",
                table=target.schema.name,
                aws=reader_view(dataset, sheet, rows, identities, target.schema),
                policy=view(policy, someone, target.schema.name, at=at),
                left_out=who is not None and len(every.get(who, ())) != len(kept.get(who, ())),
            )


def _by_identity(dataset: DataSet, sheet: Sheet | None, rows: Iterable[SheetRow]) -> Mapping[str, list[SheetRow]]:
    found: dict[str, list[SheetRow]] = {}
    for row in rows:
        if sheet is not None:
            found.setdefault(row_identity(row, sheet, dataset), []).append(row)
    return found

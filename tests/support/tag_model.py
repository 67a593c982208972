"""What tags mean, in the plainest Python: grants and denials by tags as those of the brute-force model, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from support.reference_model import CellsModel, DenialModel, GrantModel, Person, PolicyModel

Expression = Mapping[str, Sequence[str]]
"""Each key with the values of which any will do; `*` is any."""


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """One tag of `lake.db`, of `lake.db.t`, or of one of its columns."""

    place: str
    column: str | None
    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class TagGrantModel:
    name: str
    principals: Sequence[str]
    expression: Expression
    permissions: frozenset[str]
    expires: datetime | None


@dataclass(frozen=True, kw_only=True)
class TagDenialModel:
    expression: Expression
    permissions: frozenset[str]
    spared: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TagsModel:
    tagged: Sequence[Tagged]
    grants: Sequence[TagGrantModel]
    denials: Sequence[TagDenialModel]


def with_tags(policy: PolicyModel, tags: TagsModel, person: Person) -> PolicyModel:
    """Give a policy that shows this person without tags what it shows them with tags.

    A column that is denied to them is as if the table did not have it.
    """
    grants = list(policy.grants)
    denials = list(policy.denials)
    columns = {table: list(names) for table, names in policy.columns.items()}
    for table, names in policy.columns.items():
        for grant in tags.grants:
            matching = [name for name in names if matches(tags, grant.expression, table, name)]
            whole = len(matching) == len(names) and matches(tags, grant.expression, table, None)
            permissions = grant.permissions if whole else grant.permissions - {"RAW"}
            if matching and permissions:
                cells = CellsModel(mode=None if whole else "include", names=frozenset(matching), rows=None)
                grants.append(
                    GrantModel(
                        name=grant.name,
                        principals=grant.principals,
                        tables=frozenset({table}),
                        permissions=permissions,
                        cells=[cells],
                        expires=grant.expires,
                    )
                )
        for denial in tags.denials:
            matching = [name for name in names if matches(tags, denial.expression, table, name)]
            if not matching and not matches(tags, denial.expression, table, None):
                continue
            denials.append(DenialModel(tables=frozenset({table}), permissions=frozenset({"RAW"}), spared=denial.spared))
            if denial.permissions & {"SELECT", "DESCRIBE"} and not _is_one_of(policy, denial.spared, person):
                columns[table] = [name for name in columns[table] if name not in matching]
    return replace(policy, grants=grants, denials=denials, columns=columns)


def matches(tags: TagsModel, expression: Expression, table: str, column: str | None) -> bool:
    """Tell whether a column matches; None = the table itself, and so what comes later."""
    for key, values in expression.items():
        value = _value(tags, table, column, key)
        if value is None or ("*" not in values and value not in values):
            return False
    return True


def _value(tags: TagsModel, table: str, column: str | None, key: str) -> str | None:
    """Give the value of a key: the column's own, else its table's, else its database's."""
    # A field has what its column has.
    top = None if column is None else column.partition(".")[0]
    database = table.rpartition(".")[0]
    for place, of in ([(table, top)] if top is not None else []) + [(table, None), (database, None)]:
        for tag in tags.tagged:
            if (tag.place, tag.column, tag.key) == (place, of, key):
                return tag.value
    return None


def _is_one_of(policy: PolicyModel, principals: Sequence[str], person: Person) -> bool:
    names = {f"user:{person.issuer}|{person.subject}", f"everyone@{person.issuer}"}
    prefix = ""
    if person.issuer == policy.default_issuer:
        names |= {"everyone", f"user:{person.username}"} if person.username is not None else {"everyone"}
    else:
        prefix = policy.group_prefixes[person.issuer]
    return bool((names | {f"group:{prefix}{group}" for group in person.groups}) & set(principals))

"""A person's decisions as one database role: exactly what the other doors show, said as the warehouse says it.

A role is named by a hash of all that it sees, so that people of whom everything is equal share one, and what a name
stands for never changes. Nobody gets a role that does not say their decision exactly.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penstock_server.config.settings import RedshiftSettings
from penstock_server.engines.redshift.expressions import ExpressionPrinter
from penstock_server.engines.redshift.setup import ROLE_MARK
from penstock_server.model.decision import GovernedColumn, GovernedTable, TableDecision
from penstock_server.model.native import NativeMask, NativeRole, NativeTable, NotNativeError
from penstock_server.model.predicate import Always
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]{0,126}", re.ASCII)
_LETTERS: Final = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRole:
    """A role, and when the decisions behind it may change; None = not by time."""

    role: NativeRole
    expires_at: datetime | None


def decided_role(
    policy: BoundPolicy, principal: Principal, login: RedshiftSettings, *, facts: RequestFacts
) -> DecidedRole:
    """Give the role of a person in the warehouse of a login that enforces the policy itself. Pure.

    Raises:
        NotNativeError: some decision of theirs cannot be said there exactly.
    """
    native = login.native
    if native is None:
        raise ValueError("the login does not enforce the policy")
    tables: list[NativeTable] = []
    ends: list[datetime] = []
    for key, bound in sorted(policy.tables.items()):
        if key[0] != native.catalog:
            continue
        outcome = decide(policy, principal, bound.schema.name, facts=facts)
        if isinstance(outcome, TableDecision):
            tables.append(native_table(outcome.table, prefix=login.user_prefix))
            if outcome.expires_at is not None:
                ends.append(outcome.expires_at)
    name = login.user_prefix + ROLE_MARK + _hash([_content(table) for table in tables])
    return DecidedRole(role=NativeRole(name=name, tables=tuple(tables)), expires_at=min(ends) if ends else None)


def native_table(table: GovernedTable, *, prefix: str) -> NativeTable:
    """Give a governed table as the warehouse has to enforce it. Raises NotNativeError."""
    schema, name = table.name.database, table.name.table
    for part in (schema, name, *(column.name for column in table.schema.columns)):
        # Redshift folds names that are not quoted, and quoted ones too where it is configured so.
        if _PLAIN.fullmatch(part) is None:
            raise NotNativeError(f"`{table.name}`: `{part}` is no lower-case name of letters, digits and `_`")
    printer = ExpressionPrinter(table.schema)
    condition = printer.rows(table.rows)
    masks = tuple(_mask(table, column, prefix=prefix) for column in table.columns if not _is_clear(column))
    return NativeTable(
        schema=schema,
        table=name,
        columns=tuple(column.column for column in table.columns),
        policy=f"{prefix}r_{_hash([schema, name, condition])}",
        condition=condition,
        inputs=printer.inputs,
        masks=masks,
    )


def _is_clear(column: GovernedColumn) -> bool:
    only = column.cases[0] if len(column.cases) == 1 and not column.fields else None
    return only is not None and only.mask is None and isinstance(only.when, Always)


def _mask(table: GovernedTable, column: GovernedColumn, *, prefix: str) -> NativeMask:
    printer = ExpressionPrinter(table.schema)
    expression = printer.cell(column)
    own = column.column
    others = tuple(found for found in printer.inputs if found.name != own.name)
    where = [table.name.database, table.name.table, own.name, expression]
    return NativeMask(name=f"{prefix}m_{_hash(where)}", column=own.name, expression=expression, inputs=(own, *others))


def _content(table: NativeTable) -> list[object]:
    return [
        table.schema,
        table.table,
        [[column.name, column.type.sql] for column in table.columns],
        table.policy,
        [mask.name for mask in table.masks],
    ]


def _hash(content: object) -> str:
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:_LETTERS]

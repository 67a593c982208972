"""What is missing in a warehouse so that it enforces a set of roles, as statements in the order in which they run.

A pure function of the roles and of what the catalogs say: what is there already is not said again, so that after all
statements ran there is none left. Of what others made nothing is changed; `credentials.warehouse_proof` names it.

Not verified on Redshift: the statements have the documented forms, and were run on PostgreSQL in its own words.

Source: Redshift database developer guide, CREATE ROLE, GRANT, CREATE RLS POLICY, ATTACH RLS POLICY, ALTER TABLE,
CREATE MASKING POLICY, ATTACH MASKING POLICY.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from penstock_server.engines.redshift.identifiers import identifier
from penstock_server.model.native import (
    AttachedPolicy,
    NativeMask,
    NativeRole,
    NativeTable,
    NotNativeError,
    Privilege,
    WarehouseFacts,
)
from penstock_server.model.schema import Column, TypeFamily

MASK_PRIORITY: Final = 10
_TYPES: Final = {
    TypeFamily.TEXT: ("character varying", "varchar"),
    TypeFamily.INTEGER: ("smallint", "integer", "bigint"),
    TypeFamily.DECIMAL: ("numeric", "decimal"),
    TypeFamily.BOOLEAN: ("boolean",),
    TypeFamily.DATE: ("date",),
    TypeFamily.TIMESTAMP: ("timestamp without time zone", "timestamp"),
}


def missing_statements(
    roles: Iterable[NativeRole], facts: WarehouseFacts, *, governed: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    """Give the statements that are missing; `governed` are all tables of the policy, as (schema, table).

    Raises:
        NotNativeError: a table or column is not there, or is of another type.
    """
    wanted = sorted(roles, key=lambda role: role.name)
    said: list[str] = []
    for schema, table in governed:
        if any((schema, table) == (found[0], found[1]) for found in facts.relations):
            said.extend(_security(schema, table, facts))
    for role in wanted:
        said.extend(_role(role, facts))
    return tuple(dict.fromkeys(said))


def table_problems(table: NativeTable, facts: WarehouseFacts) -> tuple[str, ...]:
    """Say what keeps a table of the warehouse from being the one that the policy was bound to."""
    kinds = {kind for schema, name, kind, _ in facts.relations if (schema, name) == (table.schema, table.table)}
    if kinds != {"r"}:
        return (f"{table.schema}.{table.table} is not there, or is no ordinary table",)
    found = []
    for column in {*table.columns, *table.inputs, *(one for mask in table.masks for one in mask.inputs)}:
        declared = facts.type_of(table.schema, table.table, column.name)
        if declared is None:
            found.append(f"{table.schema}.{table.table} has no column {column.name}")
        elif column in (*table.inputs, *(one for mask in table.masks for one in mask.inputs)) and not _fits(
            column, declared
        ):
            found.append(
                f"{table.schema}.{table.table}.{column.name} is {declared}, and in the policy {column.type.sql}"
            )
    return tuple(sorted(found))


def _fits(column: Column, declared: str) -> bool:
    plain = declared.split("(", maxsplit=1)[0].strip()
    return plain in _TYPES.get(column.type.family, ())


def expected_privileges(role: NativeRole) -> frozenset[Privilege]:
    """Give all privileges that a role holds, and no other."""
    schemas = {table.schema for table in role.tables}
    usage = (_held(role, "USAGE", schema, "", "") for schema in schemas)
    columns = (
        _held(role, "SELECT", table.schema, table.table, column.name)
        for table in role.tables
        for column in table.columns
    )
    return frozenset((*usage, *columns))


def expected_attached(role: NativeRole) -> frozenset[AttachedPolicy]:
    """Give all that is attached to a role, and nothing else."""
    return frozenset(
        AttachedPolicy(
            schema=table.schema,
            relation=table.table,
            column=column,
            policy=policy,
            kind="role",
            holder=role.name,
            on=True,
        )
        for table in role.tables
        for column, policy in (("", table.policy), *((mask.column, mask.name) for mask in table.masks))
    )


def _held(role: NativeRole, privilege: str, schema: str, relation: str, column: str) -> Privilege:
    return Privilege(
        privilege=privilege, schema=schema, relation=relation, column=column, kind="role", holder=role.name
    )


def _security(schema: str, table: str, facts: WarehouseFacts) -> list[str]:
    now = next((one for one in facts.secured if (one.schema, one.relation) == (schema, table)), None)
    name = f"{identifier(schema)}.{identifier(table)}"
    said = []
    if now is None or not now.on or now.joined_by != "and":
        said.append(f"ALTER TABLE {name} ROW LEVEL SECURITY ON CONJUNCTION TYPE AND")
    if now is None or not now.for_datashares:
        said.append(f"ALTER TABLE {name} ROW LEVEL SECURITY ON FOR DATASHARES")
    return said


def _role(role: NativeRole, facts: WarehouseFacts) -> list[str]:
    said = [] if role.name in facts.roles else [f"CREATE ROLE {identifier(role.name)}"]
    held = facts.privileges
    for table in role.tables:
        problems = table_problems(table, facts)
        if problems:
            raise NotNativeError("; ".join(problems))
        said.extend(_policies(role, table, facts))
        usage = _held(role, "USAGE", table.schema, "", "")
        if usage not in held:
            said.append(f"GRANT USAGE ON SCHEMA {identifier(table.schema)} TO ROLE {identifier(role.name)}")
        lacking = [
            column.name
            for column in table.columns
            if _held(role, "SELECT", table.schema, table.table, column.name) not in held
        ]
        if lacking:
            # The grant comes last: until policies and masks are attached the role reads nothing.
            names = ", ".join(identifier(column) for column in lacking)
            said.append(f"GRANT SELECT ({names}) ON {_name(table)} TO ROLE {identifier(role.name)}")
    return said


def _policies(role: NativeRole, table: NativeTable, facts: WarehouseFacts) -> list[str]:
    said = []
    if table.policy not in facts.row_policies:
        inputs = _declared(table, table.inputs, facts)
        within = f" WITH ({inputs})" if inputs else ""
        said.append(f"CREATE RLS POLICY {identifier(table.policy)}{within} USING ({table.condition})")
    for mask in table.masks:
        if mask.name not in facts.mask_policies:
            inputs = _declared(table, mask.inputs, facts)
            said.append(f"CREATE MASKING POLICY {identifier(mask.name)} WITH ({inputs}) USING ({mask.expression})")
    attached = {(one.column, one.policy) for one in facts.attached if _is_at(one, role, table)}
    if ("", table.policy) not in attached:
        said.append(f"ATTACH RLS POLICY {identifier(table.policy)} ON {_name(table)} TO ROLE {identifier(role.name)}")
    said.extend(_attach_mask(role, table, mask) for mask in table.masks if (mask.column, mask.name) not in attached)
    return said


def _attach_mask(role: NativeRole, table: NativeTable, mask: NativeMask) -> str:
    inputs = ", ".join(identifier(column.name) for column in mask.inputs)
    return (
        f"ATTACH MASKING POLICY {identifier(mask.name)} ON {_name(table)} ({identifier(mask.column)})"
        f" USING ({inputs}) TO ROLE {identifier(role.name)} PRIORITY {MASK_PRIORITY}"
    )


def _is_at(one: AttachedPolicy, role: NativeRole, table: NativeTable) -> bool:
    return (one.kind, one.holder, one.schema, one.relation, one.on) == (
        "role",
        role.name,
        table.schema,
        table.table,
        True,
    )


def _declared(table: NativeTable, columns: Sequence[Column], facts: WarehouseFacts) -> str:
    """Print columns with the types that the warehouse declares, as it wants them in a policy."""
    return ", ".join(
        f"{identifier(column.name)} {facts.type_of(table.schema, table.table, column.name)}" for column in columns
    )


def _name(table: NativeTable) -> str:
    return f"{identifier(table.schema)}.{identifier(table.table)}"

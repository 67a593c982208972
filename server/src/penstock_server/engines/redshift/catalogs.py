"""What is read of a warehouse's catalogs: one query for each kind of fact, run by the procedure `sp_catalog`.

Not verified on Redshift: that a cursor of a SECURITY DEFINER procedure shows its caller what only the owner may see.
Where it does not, rows are missing, and the proof of the catalogs fails.

Source: Redshift database developer guide, "SVV metadata views", SVV_IAM_PRIVILEGES, HAS_ASSUMEROLE_PRIVILEGE,
STV_SESSIONS (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from penstock_server.engines.redshift import setup
from penstock_server.engines.redshift.connection import Row, WarehouseConnection
from penstock_server.engines.redshift.identifiers import text_literal
from penstock_server.model.native import AttachedPolicy, Privilege, SecuredRelation, WarehouseFacts

_OWN_SCHEMAS: Final = "n.nspname NOT IN ('information_schema', 'penstock') AND substring(n.nspname, 1, 3) <> 'pg_'"
_COMMANDS: Final = ("COPY", "UNLOAD", "EXTERNAL FUNCTION", "CREATE MODEL")

_FACTS: Final[Mapping[str, str]] = {
    "relations": "SELECT n.nspname::varchar, c.relname::varchar, c.relkind::varchar,"  # noqa: S608 - of constants
    " pg_get_userbyid(c.relowner)::varchar FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'v', 'm') AND " + _OWN_SCHEMAS,
    "columns": "SELECT n.nspname::varchar, c.relname::varchar, a.attname::varchar,"  # noqa: S608 - of constants
    " format_type(a.atttypid, a.atttypmod)::varchar"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r' AND " + _OWN_SCHEMAS,
    "relation_privileges": "SELECT privilege_type, namespace_name, relation_name, identity_type, identity_name"
    " FROM svv_relation_privileges",
    "column_privileges": "SELECT privilege_type, namespace_name, relation_name, column_name, identity_type,"
    " identity_name FROM svv_column_privileges",
    "schema_privileges": "SELECT privilege_type, namespace_name, identity_type, identity_name"
    " FROM svv_schema_privileges",
    "database_privileges": "SELECT privilege_type, identity_type, identity_name FROM svv_database_privileges"
    " WHERE database_name = current_database()",
    "iam_privileges": "SELECT command_type, identity_type, identity_name FROM svv_iam_privileges",
    "system_privileges": "SELECT system_privilege, identity_type, identity_name FROM svv_system_privileges",
    "roles": "SELECT role_name FROM svv_roles",
    "user_grants": "SELECT user_name, role_name FROM svv_user_grants",
    "role_grants": "SELECT role_name, granted_role_name FROM svv_role_grants",
    "groups": "SELECT u.usename::varchar, g.groname::varchar FROM pg_group g JOIN pg_user u"
    " ON u.usesysid = ANY(g.grolist)",
    "row_policies": "SELECT polname FROM svv_rls_policy",
    "row_attached": "SELECT relschema, relname, polname, granteekind, grantee, is_pol_on FROM svv_rls_attached_policy",
    "secured": "SELECT relschema, relname, is_rls_on, is_rls_datashare_on, rls_conjunction_type FROM svv_rls_relation",
    "mask_policies": "SELECT policy_name FROM svv_masking_policy",
    "mask_attached": "SELECT schema_name, table_name, output_columns, policy_name, grantee_type, grantee"
    " FROM svv_attached_masking_policy",
    "materialized": "SELECT schema_name, name FROM svv_mv_info",
    "external": "SELECT schemaname FROM svv_external_schemas",
    "definers": "SELECT n.nspname::varchar, p.proname::varchar FROM pg_proc p JOIN pg_namespace n"  # noqa: S608
    " ON n.oid = p.pronamespace WHERE p.prosecdef AND " + _OWN_SCHEMAS,
}


def queries(reaper: str) -> Mapping[str, str]:
    """Give all queries; the reaper stands for everybody who holds nothing but what PUBLIC holds."""
    user = text_literal(reaper)
    assumable = " UNION ALL ".join(
        f"SELECT '{command}' AS command WHERE has_assumerole_privilege({user}, 'default', '{command}')"
        for command in _COMMANDS
    )
    return {
        "sessions": "SELECT user_name FROM stv_sessions",
        "users": "SELECT user_name, superuser, connection_limit FROM svv_user_info",
        **_FACTS,
        "assumable": assumable,
    }


async def read_facts(connection: WarehouseConnection) -> WarehouseFacts:
    """Read what the catalogs say. Raises Unavailable."""
    found = {name: await connection.rows(setup.CATALOG, name) for name in ("users", *_FACTS, "assumable")}
    return WarehouseFacts(
        superusers=frozenset(str(name) for name, superuser, _ in found["users"] if superuser),
        relations=frozenset((str(s), str(n), str(k), str(o)) for s, n, k, o in found["relations"]),
        columns=tuple((str(s), str(r), str(c), str(t)) for s, r, c, t in found["columns"]),
        privileges=_privileges(found),
        system_privileges=frozenset((str(p), str(kind), str(name)) for p, kind, name in found["system_privileges"]),
        roles=frozenset(str(name) for (name,) in found["roles"]),
        memberships=frozenset(
            (str(member), str(of)) for kind in ("user_grants", "role_grants", "groups") for member, of in found[kind]
        ),
        row_policies=frozenset(str(name) for (name,) in found["row_policies"]),
        attached=_attached(found),
        secured=tuple(
            SecuredRelation(
                schema=str(schema),
                relation=str(name),
                on=bool(on),
                for_datashares=bool(shared),
                joined_by=str(joined).strip().lower(),
            )
            for schema, name, on, shared, joined in found["secured"]
        ),
        mask_policies=frozenset(str(name) for (name,) in found["mask_policies"]),
        materialized=frozenset((str(schema), str(name)) for schema, name in found["materialized"]),
        external_schemas=frozenset(str(name) for (name,) in found["external"]),
        definer_procedures=frozenset((str(schema), str(name)) for schema, name in found["definers"]),
        assumable=frozenset(str(command) for (command,) in found["assumable"]),
        assumed_by=frozenset((str(c), str(kind).lower(), str(name)) for c, kind, name in found["iam_privileges"]),
    )


def _privileges(found: Mapping[str, Sequence[Row]]) -> frozenset[Privilege]:
    rows: list[tuple[object, ...]] = [
        *((p, schema, relation, "", kind, name) for p, schema, relation, kind, name in found["relation_privileges"]),
        *found["column_privileges"],
        *((p, schema, "", "", kind, name) for p, schema, kind, name in found["schema_privileges"]),
        *((p, "", "", "", kind, name) for p, kind, name in found["database_privileges"]),
    ]
    return frozenset(
        Privilege(
            privilege=str(privilege).upper(),
            schema=str(schema),
            relation=str(relation),
            column=str(column),
            kind=str(kind).lower(),
            holder=str(holder),
        )
        for privilege, schema, relation, column, kind, holder in rows
    )


def _attached(found: Mapping[str, Sequence[Row]]) -> frozenset[AttachedPolicy]:
    rows: list[tuple[object, ...]] = [
        *((s, r, "", policy, kind, name, on) for s, r, policy, kind, name, on in found["row_attached"]),
        *(
            (s, r, _one(column), policy, kind, name, True)
            for s, r, column, policy, kind, name in found["mask_attached"]
        ),
    ]
    return frozenset(
        AttachedPolicy(
            schema=str(schema),
            relation=str(relation),
            column=str(column),
            policy=str(policy),
            kind=str(kind).lower(),
            holder=str(holder),
            on=bool(on),
        )
        for schema, relation, column, policy, kind, holder, on in rows
    )


def _one(columns: object) -> str:
    """Read the column of a mask, which the catalog gives as a JSON list of one name."""
    return str(columns).strip('[]" ')

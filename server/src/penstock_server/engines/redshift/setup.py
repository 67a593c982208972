"""What an administrator runs once in a warehouse: a schema with the procedures by which Penstock acts there.

The broker logs in as an ordinary user, the reaper. What only a superuser may do stands in SECURITY DEFINER procedures
that are owned by one, executable by the reaper alone, and bounded to users whose names begin with the prefix.

Not verified on Redshift: that CONNECTION LIMIT 0 keeps a temporary password out, and that `pg_terminate_backend` works
inside a SECURITY DEFINER procedure. Both were tried on PostgreSQL.

Source: Redshift database developer guide, CREATE PROCEDURE, ALTER USER, PG_TERMINATE_BACKEND, "Returning a result set".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penstock_server.engines.redshift.identifiers import identifier, text_literal

SCHEMA: Final = "penstock"
CATALOG: Final = f"{SCHEMA}.sp_catalog"
BLOCK: Final = f"{SCHEMA}.sp_block_user"
ALLOW: Final = f"{SCHEMA}.sp_allow_user"
END: Final = f"{SCHEMA}.sp_end_sessions"
CREATE: Final = f"{SCHEMA}.sp_create_user"
DROP: Final = f"{SCHEMA}.sp_drop_user"

MOST_CONNECTIONS: Final = 100
"""Of one user that may log in."""
ROLE_MARK: Final = "d_"
LEASE_MARK: Final = "l_"
LEASE_CHARS: Final = 26

_SESSION: Final = "rtrim(user_name)"
_SESSIONS_OF: Final = f"""
    SELECT process FROM pg_catalog.stv_sessions
    WHERE {_SESSION} = target
       OR (split_part({_SESSION}, ':', 1) IN ('IAM', 'IAMA') AND split_part({_SESSION}, ':', 2) = target)
       OR (length({_SESSION}) >= 50 AND split_part({_SESSION}, ':', 3) = ''
           AND strpos(target, split_part({_SESSION}, ':',
               CASE WHEN split_part({_SESSION}, ':', 2) = '' THEN 1 ELSE 2 END)) = 1)"""  # noqa: S608 - of constants


def setup_statements(*, prefix: str, reaper: str, queries: Mapping[str, str]) -> tuple[str, ...]:
    """Give the statements; `queries` are what the reaper may read of the catalogs, by name.

    The reaper itself must be there already: `CREATE USER penstock_reaper PASSWORD '...'`.
    """
    user = identifier(reaper)
    procedures = {
        f"{BLOCK}(target varchar(64))": _body(
            _checked(prefix), "EXECUTE 'ALTER USER ' || quote_ident(target) || ' CONNECTION LIMIT 0';"
        ),
        f"{ALLOW}(target varchar(64))": _body(
            _checked(prefix),
            f"EXECUTE 'ALTER USER ' || quote_ident(target) || ' CONNECTION LIMIT {MOST_CONNECTIONS}';",
        ),
        f"{END}(target varchar(64))": _body(_checked(prefix), _ENDING, declare="found RECORD;"),
        f"{CREATE}(target varchar(64), wanted varchar(64))": _body(_checked_lease(prefix), _creating(prefix)),
        f"{DROP}(target varchar(64))": _body(_checked_lease(prefix), "EXECUTE 'DROP USER ' || quote_ident(target);"),
        f"{CATALOG}(what varchar(64), rows_found INOUT refcursor)": _body("", _opening(queries)),
    }
    signatures = [head.split("(")[0] + _types(head) for head in procedures]
    return (
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC",
        *(f"CREATE OR REPLACE PROCEDURE {head} {body}" for head, body in procedures.items()),
        *(f"REVOKE ALL ON PROCEDURE {signature} FROM PUBLIC" for signature in signatures),
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {user}",
        *(f"GRANT EXECUTE ON PROCEDURE {signature} TO {user}" for signature in signatures),
    )


def _types(head: str) -> str:
    arguments = head[head.index("(") + 1 : -1].split(", ")
    return "(" + ", ".join(argument.rsplit(" ", 1)[1].split("(")[0] for argument in arguments) + ")"


def _body(check: str, work: str, *, declare: str = "") -> str:
    declared = f"DECLARE {declare}\n" if declare else ""
    # SECURITY: what a caller's search_path finds first must not be what an owner's rights run. A schema of temporary
    # tables that is not named is searched first of all, even before pg_catalog; so it is named, and last.
    rights = "LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp"
    return f"AS $$\n{declared}BEGIN\n{check}{work}\nEND;\n$$ {rights}"


def _checked(prefix: str) -> str:
    # SECURITY: the owner's rights reach users of the prefix alone, and never a superuser, whatever the name is.
    return f"""IF target IS NULL OR substring(target, 1, {len(prefix)}) <> {text_literal(prefix)} THEN
    RAISE EXCEPTION 'the user is not one of Penstock';
END IF;
IF EXISTS (SELECT 1 FROM pg_catalog.pg_user WHERE usename = target AND usesuper) THEN
    RAISE EXCEPTION 'the user is a superuser';
END IF;
"""  # noqa: S608 - the prefix is a literal


def _checked_lease(prefix: str) -> str:
    whole = prefix + LEASE_MARK
    return f"""{_checked(prefix)}IF substring(target, 1, {len(whole)}) <> {text_literal(whole)}
        OR length(target) <> {len(whole) + LEASE_CHARS} THEN
    RAISE EXCEPTION 'the user is not one of a lease';
END IF;
"""


_ENDING: Final = f"""FOR found IN {_SESSIONS_OF}
LOOP
    EXECUTE 'SELECT pg_terminate_backend(' || found.process || ')';
END LOOP;"""


def _creating(prefix: str) -> str:
    role = prefix + ROLE_MARK
    return f"""IF wanted <> '' AND substring(wanted, 1, {len(role)}) <> {text_literal(role)} THEN
    RAISE EXCEPTION 'the role is not one of Penstock';
END IF;
EXECUTE 'CREATE USER ' || quote_ident(target) || ' PASSWORD DISABLE CONNECTION LIMIT {MOST_CONNECTIONS}';
IF wanted <> '' THEN
    EXECUTE 'GRANT ROLE ' || quote_ident(wanted) || ' TO ' || quote_ident(target);
END IF;"""


def _opening(queries: Mapping[str, str]) -> str:
    branches = [
        f"{'IF' if index == 0 else 'ELSIF'} what = {text_literal(name)} THEN\n    OPEN rows_found FOR {query};"
        for index, (name, query) in enumerate(queries.items())
    ]
    return "\n".join((*branches, "ELSE\n    RAISE EXCEPTION 'there is no such question';\nEND IF;"))

"""A database login as the drivers of Redshift read it.

SECURITY: a temporary password goes to whoever answers. Each form that can say so makes the driver check the name of the
server (`verify-full`); libpq would else take any server that offers TLS, or one without it.
"""

from __future__ import annotations

import json

from penstock.credentials import RedshiftLogin
from penstock.errors import PenstockError

_CHECKED = "verify-full"


def login_variables(login: RedshiftLogin) -> list[tuple[str, str]]:
    """Give a login as the environment variables of libpq.

    Source: PostgreSQL, libpq, Environment Variables.
    """
    return [
        ("PGHOST", login.host),
        ("PGPORT", str(login.port)),
        ("PGDATABASE", login.database),
        ("PGUSER", login.user),
        ("PGPASSWORD", login.password),
        ("PGSSLMODE", _CHECKED),
    ]


def password_line(login: RedshiftLogin) -> str:
    r"""Give a line of libpq's password file: `HOST:PORT:DATABASE:USER:PASSWORD`, with `\` before `:` and `\`.

    Raises:
        PenstockError: a value has a line break, which the file cannot hold.
    Source: PostgreSQL, libpq, The Password File.
    """
    values = (login.host, str(login.port), login.database, login.user, login.password)
    # SECURITY: what stands behind a line break would be a line of its own, for another server; a field of `*` alone
    # would send the password to any server.
    if any("\n" in value or "\r" in value or value == "*" for value in values):
        raise PenstockError("the server sent a login that no password file can hold", reason="UNKNOWN_VALUE")
    return ":".join(value.replace("\\", "\\\\").replace(":", "\\:") for value in values)


def connection_string(login: RedshiftLogin) -> str:
    r"""Give a login as a connection string of libpq, each value in quotes with `\` before `'` and `\`.

    Source: PostgreSQL, libpq, Keyword/Value Connection Strings.
    """
    members = {
        "host": login.host,
        "port": str(login.port),
        "dbname": login.database,
        "user": login.user,
        "password": login.password,
        "sslmode": _CHECKED,
    }
    return " ".join(f"{name}={_quoted(value)}" for name, value in members.items())


def connector_arguments(login: RedshiftLogin) -> str:
    """Give a login as JSON of the keyword arguments of `redshift_connector.connect`; `user` is to stay as it is."""
    return json.dumps(
        {
            "host": login.host,
            "port": login.port,
            "database": login.database,
            "user": login.user,
            "password": login.password,
            "ssl": True,
            "sslmode": _CHECKED,
        }
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

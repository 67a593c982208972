"""A stand-in for a Redshift warehouse: PostgreSQL with the views of Redshift that we read, behind Redshift's wire.

It shows that statements and procedures do what they say where both dialects agree, and how sessions of users that are
named as Redshift names them come and go. It says nothing about Redshift itself. Anybody may log in under any name that
is a role here, whatever the password, as with a password that is still valid.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import redshift_connector
from penstock_server.engines.redshift.catalogs import queries
from penstock_server.engines.redshift.connection import WarehouseAddress, WarehouseConnection, close_driver
from penstock_server.engines.redshift.sessions import WarehouseSessions
from penstock_server.engines.redshift.setup import setup_statements
from penstock_server.model.secret import Secret

from support.postgres_server import OWNER, connected, postgres_server

REAPER = "penstock_reaper"
PREFIX = "pk_"
_SSL_REQUEST = 80877103
_KEPT = frozenset({b"user", b"database", b"client_encoding", b"application_name", b"datestyle"})

_HOLDER = (
    "CASE WHEN a.grantee = 0 THEN 'public' ELSE r.rolname::text END AS identity_name,"
    " CASE WHEN a.grantee = 0 THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'role' END AS identity_type"
)
_PEOPLES = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'penstock') AND substring(n.nspname, 1, 3) <> 'pg_'"
# Redshift: database developer guide, the page of each view; only columns that are read.
_VIEWS = (
    "CREATE VIEW pg_catalog.stv_sessions AS SELECT backend_start AS starttime, pid AS process,"
    " usename::char(50) AS user_name, datname::char(50) AS db_name FROM pg_stat_activity"
    " WHERE usename IS NOT NULL",
    "CREATE VIEW pg_catalog.svv_user_info AS SELECT rolname::text AS user_name, rolsuper AS superuser,"
    " CASE WHEN rolconnlimit = -1 THEN 'UNLIMITED' ELSE rolconnlimit::text END AS connection_limit"
    " FROM pg_roles WHERE rolcanlogin",
    "CREATE VIEW pg_catalog.svv_roles AS SELECT rolname::text AS role_name FROM pg_roles"
    " WHERE NOT rolcanlogin AND substring(rolname, 1, 3) <> 'pg_'",
    f"CREATE VIEW pg_catalog.svv_relation_privileges AS SELECT a.privilege_type, n.nspname::text AS namespace_name,"
    f" c.relname::text AS relation_name, {_HOLDER} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    f" CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE {_PEOPLES}",
    f"CREATE VIEW pg_catalog.svv_column_privileges AS SELECT a.privilege_type, n.nspname::text AS namespace_name,"
    f" c.relname::text AS relation_name, t.attname::text AS column_name, {_HOLDER} FROM pg_attribute t"
    f" JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    f" CROSS JOIN LATERAL aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE {_PEOPLES}",
    f"CREATE VIEW pg_catalog.svv_schema_privileges AS SELECT a.privilege_type, n.nspname::text AS namespace_name,"
    f" {_HOLDER} FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a"
    f" LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE {_PEOPLES}",
    f"CREATE VIEW pg_catalog.svv_database_privileges AS SELECT a.privilege_type, d.datname::text AS database_name,"
    f" {_HOLDER} FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
    f" LEFT JOIN pg_roles r ON r.oid = a.grantee",
    "CREATE VIEW pg_catalog.svv_user_grants AS SELECT u.rolname::text AS user_name, g.rolname::text AS role_name"
    " FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
    " WHERE u.rolcanlogin",
    "CREATE VIEW pg_catalog.svv_role_grants AS SELECT u.rolname::text AS role_name,"
    " g.rolname::text AS granted_role_name"
    " FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
    " WHERE NOT u.rolcanlogin AND substring(u.rolname, 1, 3) <> 'pg_'",
    "CREATE VIEW pg_catalog.svv_rls_policy AS SELECT DISTINCT polname::text AS polname FROM pg_policy",
    "CREATE VIEW pg_catalog.svv_rls_attached_policy AS SELECT n.nspname::text AS relschema, c.relname::text AS relname,"
    " p.polname::text AS polname, CASE WHEN r.oid IS NULL THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'role' END"
    " AS granteekind, coalesce(r.rolname, 'public')::text AS grantee, true AS is_pol_on"
    " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " CROSS JOIN LATERAL unnest(p.polroles) AS one(oid) LEFT JOIN pg_roles r ON r.oid = one.oid",
    # What PostgreSQL does not have is planted as rows.
    "CREATE TABLE pg_catalog.shared_rls (name text)",
    "CREATE VIEW pg_catalog.svv_rls_relation AS SELECT n.nspname::text AS relschema, c.relname::text AS relname,"
    " c.relrowsecurity AS is_rls_on, c.relname IN (SELECT name FROM shared_rls) AS is_rls_datashare_on,"
    " 'and'::char(3) AS rls_conjunction_type FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relrowsecurity",
    "CREATE TABLE pg_catalog.svv_system_privileges (system_privilege text, identity_type text, identity_name text)",
    "CREATE TABLE pg_catalog.svv_masking_policy (policy_name text)",
    "CREATE TABLE pg_catalog.svv_attached_masking_policy (schema_name text, table_name text, output_columns text,"
    " policy_name text, grantee_type text, grantee text)",
    "CREATE TABLE pg_catalog.svv_external_schemas (schemaname text)",
    "CREATE TABLE pg_catalog.group_members (usename text, groname text)",
    "CREATE TABLE pg_catalog.assumable (who text, command text)",
    "CREATE TABLE pg_catalog.svv_iam_privileges (iam_arn text, command_type text, identity_type text,"
    " identity_name text)",
    "CREATE VIEW pg_catalog.svv_mv_info AS SELECT n.nspname::text AS schema_name, c.relname::text AS name"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'",
    "CREATE FUNCTION pg_catalog.has_assumerole_privilege(text, text, text) RETURNS boolean LANGUAGE sql STABLE"
    " SECURITY DEFINER AS"
    " $$ SELECT EXISTS (SELECT 1 FROM pg_catalog.assumable WHERE who = $1 AND command = $3) $$",
)
# Where PostgreSQL has other words for the same.
_DIALECT = (
    ("PASSWORD DISABLE", "PASSWORD NULL"),
    ("GRANT ROLE ", "GRANT "),
    (
        "SELECT u.usename::varchar, g.groname::varchar FROM pg_group g JOIN pg_user u ON u.usesysid = ANY(g.grolist)",
        "SELECT usename, groname FROM group_members",
    ),
    (" TO ROLE ", " TO "),
)


def in_postgresql(statement: str) -> str:
    """Give a statement of Redshift in PostgreSQL's words."""
    for ours, theirs in _DIALECT:
        statement = statement.replace(ours, theirs)
    return statement


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A warehouse at `127.0.0.1:port`; `server` is what PostgreSQL itself is reached by."""

    port: int
    server: str

    def owner(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as a superuser, past the wire of Redshift."""
        return connected(self.server, OWNER)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as a superuser, and give the rows of the last one."""
        with self.owner() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def address(self, user: str = REAPER) -> WarehouseAddress:
        """How a user reaches the warehouse."""
        return WarehouseAddress(
            host="127.0.0.1",
            port=self.port,
            database="postgres",
            user=user,
            password=lambda: Secret("still-valid"),
            encrypted=False,
        )

    def sessions(self) -> WarehouseSessions:
        """The warehouse as the reaper sees it."""
        return WarehouseSessions(WarehouseConnection(self.address()), prefix=PREFIX)

    def log_in(self, user: str) -> Any:
        """Begin a session with Redshift's own driver, under the name that a session has; close it by `log_out`."""
        return redshift_connector.connect(
            host="127.0.0.1", port=self.port, database="postgres", user=user, password="still-valid", ssl=False
        )

    @contextmanager
    def cursor_of(self, user: str) -> Iterator[Any]:
        """Begin a session and give a cursor of it."""
        session = self.log_in(user)
        try:
            yield session.cursor()
        finally:
            close_driver(session)

    def users_in(self, prefix: str = PREFIX) -> Sequence[str]:
        """The users of a prefix."""
        return [name for (name,) in self.run("SELECT rolname FROM pg_roles ORDER BY 1") if name.startswith(prefix)]

    def session_names(self) -> Sequence[str]:
        """The names of all sessions but those of the owner and of the reaper."""
        rows = self.run("SELECT rtrim(user_name) FROM stv_sessions ORDER BY 1")
        return [name for (name,) in rows if name not in {OWNER, REAPER}]


def is_open(session: Any) -> bool:
    """Tell whether a session still answers."""
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
    except Exception:  # noqa: BLE001 - the driver shows a lost connection as almost anything
        return False
    return True


@contextmanager
def redshift_stand_in() -> Iterator[StandIn]:
    """A warehouse with the views and with what `setup_statements` makes; all of it is gone at the end."""
    with postgres_server(max_connections="64") as server, _wire(server) as port:
        stand_in = StandIn(port=port, server=server)
        stand_in.run("SET allow_system_table_mods = on", *_VIEWS, f"CREATE USER {REAPER}")
        statements = setup_statements(prefix=PREFIX, reaper=REAPER, queries=queries(REAPER))
        stand_in.run(*(in_postgresql(statement) for statement in statements))
        yield stand_in


@contextmanager
def _wire(server: str) -> Iterator[int]:
    """Listen as Redshift does, and pass everything on to PostgreSQL but what it would not understand."""
    socket = f"{server.split(maxsplit=1)[0].removeprefix('host=')}/.s.PGSQL.5432"
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    ports: list[int] = []
    stop = asyncio.Event()

    async def serve() -> None:
        listening = await asyncio.start_server(lambda r, w: _relay(r, w, socket), "127.0.0.1", 0)
        ports.append(listening.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        listening.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket: str) -> None:
    with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
        start = await _start_of(reader, writer)
        inner_reader, inner_writer = await asyncio.open_unix_connection(socket)
        inner_writer.write(start)
        await asyncio.gather(_answers(inner_reader, writer), _pump(reader, inner_writer))
    writer.close()


async def _start_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read how a session begins, without what only Redshift knows."""
    body = await _body(reader)
    if body[:4] == struct.pack("!i", _SSL_REQUEST):
        writer.write(b"N")
        body = await _body(reader)
    words = body[4:].rstrip(b"\0").split(b"\0")
    pairs = zip(words[::2], words[1::2], strict=False)
    kept = b"".join(name + b"\0" + value + b"\0" for name, value in pairs if name in _KEPT) + b"\0"
    return struct.pack("!i", len(kept) + 8) + body[:4] + kept


async def _body(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    return await reader.readexactly(length - 4)


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass answers on; the version, which the driver reads strictly, as Redshift says it."""
    while True:
        kind = await reader.readexactly(1)
        body = await _body(reader)
        if kind == b"S" and body.startswith(b"server_version\0"):
            body = b"server_version\x008.0.2\0"
        writer.write(kind + struct.pack("!i", len(body) + 4) + body)
        await writer.drain()
        if kind in b"ZE":
            break
    await _pump(reader, writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while some := await reader.read(65_536):
            writer.write(some)
            await writer.drain()
    finally:
        writer.close()

"""Users and sessions of a warehouse, by the procedures of `setup`."""

from __future__ import annotations

from penstock_server.engines.redshift import setup
from penstock_server.engines.redshift.connection import WarehouseConnection
from penstock_server.model.warehouse import WarehouseLook, WarehouseUser, session_user

SESSIONS = "sessions"
USERS = "users"


class WarehouseSessions:
    """Looks at sessions and ends them. Every method raises Unavailable where the warehouse does not do it."""

    def __init__(self, connection: WarehouseConnection, *, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    async def look(self) -> WarehouseLook:
        """Give the users of the prefix, and the sessions that may be of any of them."""
        users = await self._connection.rows(setup.CATALOG, USERS)
        sessions = await self._connection.rows(setup.CATALOG, SESSIONS)
        read = [session_user(str(name)) for (name,) in sessions]
        return WarehouseLook(
            users=tuple(
                WarehouseUser(name=str(name), blocked=str(limit) == "0")
                for name, _, limit in users
                if str(name).startswith(self._prefix)
            ),
            sessions=tuple(found for found in read if found is not None and found.name.startswith(self._prefix)),
        )

    async def block(self, user: str) -> None:
        """Let no session of a user begin any more."""
        await self._connection.call(setup.BLOCK, user)

    async def allow(self, user: str) -> None:
        """Let sessions of a user begin again."""
        await self._connection.call(setup.ALLOW, user)

    async def end(self, user: str) -> None:
        """End all sessions of a user."""
        await self._connection.call(setup.END, user)

    async def create(self, user: str, *, role: str) -> None:
        """Make the user of a lease, with one database role, or none where it is ""."""
        await self._connection.call(setup.CREATE, user, role)

    async def drop(self, user: str) -> None:
        """Drop the user of a lease, which has no session any more."""
        await self._connection.call(setup.DROP, user)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

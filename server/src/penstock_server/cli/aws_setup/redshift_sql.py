"""What an administrator runs in the cluster before anybody logs in.

Source: Amazon Redshift database developer guide, "GRANT usage notes" (ASSUMEROLE), "CREATE USER", "CREATE GROUP".
"""

from __future__ import annotations

from typing import Final

from penstock_server.cli.aws_setup.wanted import ServedCluster
from penstock_server.engines.redshift.catalogs import queries
from penstock_server.engines.redshift.setup import setup_statements

FILE: Final = "redshift.sql"
REAPER_USER: Final = "penstock_reaper"
USER_PREFIX: Final = "pk_"

_HEAD: Final = """\
-- Run once in the database {database}, as a superuser, before anybody logs in by Penstock.
-- A login is wider than row-level security while PUBLIC may do these:
REVOKE ASSUMEROLE ON ALL FROM PUBLIC FOR ALL;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE TEMP ON DATABASE {database} FROM PUBLIC;

-- The login that ends sessions. Replace its password, which the service gets as PENSTOCK_REAPER_PASSWORD.
CREATE USER {reaper} PASSWORD DISABLE;

"""


def statements(cluster: ServedCluster) -> str:
    """Give the SQL: what PUBLIC loses, the groups, the reaper, and the procedures that it may call."""
    made = [f"CREATE GROUP {group}" for group in cluster.groups]
    made += setup_statements(prefix=USER_PREFIX, reaper=REAPER_USER, queries=queries(REAPER_USER))
    return _HEAD.format(database=cluster.database, reaper=REAPER_USER) + "".join(f"{text};\n" for text in made)

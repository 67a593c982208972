"""What is read of a warehouse's catalogs: one query for each kind of fact, run by the procedure `sp_catalog`.

Source: Redshift database developer guide, "SVV metadata views", STV_SESSIONS (read November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

QUERIES: Final[Mapping[str, str]] = {
    "sessions": "SELECT user_name FROM stv_sessions",
    "users": "SELECT user_name, superuser, connection_limit FROM svv_user_info",
}

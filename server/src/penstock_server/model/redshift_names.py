"""Names that no database user or group of ours may have.

Source: Amazon Redshift database developer guide, "Reserved words" (read 24 November 2026).
"""

from __future__ import annotations

import re

# fmt: off
RESERVED_WORDS = frozenset({
    "aes128", "aes256", "all", "allowoverwrite", "analyse", "analyze", "and", "any", "array", "as", "asc",
    "authorization", "az64", "backup", "between", "binary", "blanksasnull", "both", "bytedict", "bzip2", "case",
    "cast", "check", "collate", "column", "constraint", "create", "credentials", "cross", "current_date",
    "current_time", "current_timestamp", "current_user", "current_user_id", "default", "deferrable", "deflate",
    "defrag", "delta", "delta32k", "desc", "disable", "distinct", "do", "else", "emptyasnull", "enable",
    "encode", "encrypt", "encryption", "end", "except", "explicit", "false", "for", "foreign", "freeze", "from",
    "full", "globaldict256", "globaldict64k", "grant", "group", "gzip", "having", "identity", "ignore", "ilike",
    "in", "initially", "inner", "intersect", "interval", "into", "is", "isnull", "join", "leading", "left",
    "like", "limit", "localtime", "localtimestamp", "lun", "luns", "lzo", "lzop", "minus", "mostly16",
    "mostly32", "mostly8", "natural", "new", "not", "notnull", "null", "nulls", "off", "offline", "offset",
    "oid", "old", "on", "only", "open", "or", "order", "outer", "overlaps", "parallel", "partition", "percent",
    "permissions", "pivot", "placing", "primary", "public", "raw", "readratio", "recover", "references",
    "rejectlog", "resort", "respect", "restore", "right", "select", "session_user", "similar", "snapshot",
    "some", "sysdate", "system", "table", "tag", "tdes", "text255", "text32k", "then", "timestamp", "to", "top",
    "trailing", "true", "truncatecolumns", "union", "unique", "unnest", "unpivot", "user", "using", "verbose",
    "wallet", "when", "where", "with", "without",
})
# fmt: on
"""In lower case; `public` stands for everybody."""

SUPERUSERS = frozenset({"awsuser", "rdsdb", "rdsadmin", "rdshm", "admin", "root", "postgres", "padb"})
"""Names under which administrators are commonly known; a person so named is refused rather than mistaken."""

MAX_GROUP_CHARS = 64
_GROUP = re.compile(rf"[a-z][a-z0-9_+.@-]{{0,{MAX_GROUP_CHARS - 1}}}", re.ASCII)


def is_database_group(name: str) -> bool:
    """Tell whether a login may join a database group of this name: at load, and once more where it is issued.

    Source: Redshift API, GetClusterCredentials, DbGroups.
    """
    return _GROUP.fullmatch(name) is not None and name not in RESERVED_WORDS

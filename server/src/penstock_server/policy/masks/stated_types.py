"""The types that a policy file may state for a mask."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.model.schema import ColumnType, TypeFamily

_ALIASES: Final = {
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "INT": "INTEGER",
    "LONG": "BIGINT",
    "BOOL": "BOOLEAN",
    "REAL": "FLOAT",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
}
_FAMILIES: Final = {
    "VARCHAR": TypeFamily.TEXT,
    "BOOLEAN": TypeFamily.BOOLEAN,
    "FLOAT": TypeFamily.FLOAT,
    "DOUBLE": TypeFamily.FLOAT,
    "DATE": TypeFamily.DATE,
    **dict.fromkeys(
        (f"{sign}{name}" for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")),
        TypeFamily.INTEGER,
    ),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), TypeFamily.TIMESTAMP),
    "TIMESTAMP WITH TIME ZONE": TypeFamily.TIMESTAMP_TZ,
    **dict.fromkeys(("UUID", "BLOB", "TIME", "INTERVAL"), TypeFamily.OTHER),
}
_DECIMAL: Final = re.compile(r"DECIMAL\(([1-9][0-9]?),([0-9][0-9]?)\)", re.ASCII)
_MAX_PRECISION: Final = 38


def parse_mask_type(text: str) -> ColumnType:
    """Give a type, spelled as the engine spells it; case and spaces do not matter.

    Raises:
        ValueError: it is none that a mask can have; the text goes well after the type in backticks.
    """
    written = re.sub(r"\s+", " ", re.sub(r"\s*([(,)])\s*", r"\1", text.strip().upper()))
    sql = _ALIASES.get(written, written)
    decimal = _DECIMAL.fullmatch(sql)
    if decimal is not None and int(decimal[2]) <= int(decimal[1]) <= _MAX_PRECISION:
        return ColumnType(sql=sql, family=TypeFamily.DECIMAL)
    if sql not in _FAMILIES:
        raise ValueError("is no type that a mask can have; write one such as varchar, bigint, decimal(10,2) or date")
    return ColumnType(sql=sql, family=_FAMILIES[sql])

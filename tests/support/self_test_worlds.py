"""Writes the two worlds of the start-up self-test: `python -m support.self_test_worlds`, from the folder tests.

Equal in every permitted cell, in the same order; unequal in hidden rows (how many, and what is in them) and in hidden
cells.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from penstock_server.engines.duckdb.two_worlds import WORLDS

_PERMITTED = 400


def write(folder: Path, *, world: int) -> None:
    """Write world 0 or 1."""
    text = ("'canary of world one ' || range % 3", "repeat('world two: ' || range || ' ', 4)")[world]
    amount = ("1e9", "-range * 1e-9")[world]
    hidden = (3, 7)[world]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cells.parquet").unlink(missing_ok=True)
    duckdb.sql(
        f"""
        COPY (
            SELECT range AS id, 'ours' AS region, CASE WHEN range % 4 = 0 THEN 'closed' ELSE 'open' END AS grade,
                   CASE WHEN range % 4 = 0 THEN {text} ELSE 'name ' || range % 5 END AS name,
                   CASE WHEN range % 4 = 0 THEN {amount} ELSE range * 0.1 END::DOUBLE AS amount,
                   CASE WHEN range % 4 = 0 THEN [{text}] ELSE ['tag ' || range % 5, NULL] END AS tags,
                   {text} AS note
            FROM range({_PERMITTED})
            UNION ALL
            SELECT 1000 + range, 'theirs', 'open', {text}, ({amount})::DOUBLE, [{text}], {text} FROM range({hidden})
            ORDER BY id
        ) TO '{folder}/cells.parquet' (FORMAT parquet, DICTIONARY_SIZE_LIMIT 100000)
        """
    )


if __name__ == "__main__":
    for number, place in enumerate(WORLDS):
        write(place / "penstock", world=number)
        sys.stdout.write(f"{place}\n")

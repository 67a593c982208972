"""What builder, front and sealed worker agree on: how an extract is laid out, and where a worker holds it."""

from __future__ import annotations

from typing import Final

TABLE: Final = "extract"
"""The only table of the file, in the schema `main`. Its columns are `c` and their number in the governed table."""

PRESENT: Final = "present"
"""The column that stands for the rows of a table of which no column is needed."""

SLOTS: Final = range(40, 56)
"""The descriptors under which a sealed worker may attach extracts."""


def descriptor_path(descriptor: int) -> str:
    """Give the path by which a process opens a file again that it holds."""
    return f"/proc/self/fd/{descriptor}"

"""What the machine, or the container, gives this service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_CONTROL_GROUP: Final = Path("/sys/fs/cgroup/memory.max")


def memory_bytes() -> int:
    """Give the memory of the machine, or what the control group of this container leaves of it."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        bound = _CONTROL_GROUP.read_text(encoding="ascii").strip()
    except OSError:
        return physical
    return min(physical, int(bound)) if bound.isdecimal() else physical

"""A zygote with one barrier missing: what the tests of the barriers must notice.

Arguments: the barrier that is away, then what a zygote gets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from penstock_server.engines.duckdb import instance, zygote
from penstock_server.engines.duckdb.sandbox import landlock, privileges, seccomp


def _nothing(*_arguments: object, **_named: object) -> None:
    return None


WEAKER: dict[str, Callable[[], None]] = {
    "landlock": lambda: setattr(landlock, "restrict", _nothing),
    "seccomp": lambda: setattr(seccomp, "restrict", _nothing),
    "capabilities": lambda: setattr(privileges, "drop_capabilities", _nothing),
    "doors": lambda: setattr(instance, "_close_doors", _nothing),
}


def weaken(missing: str) -> None:
    for name in WEAKER if missing == "everything" else [missing]:
        WEAKER[name]()


if __name__ == "__main__":
    weaken(sys.argv[1])
    zygote.main(sys.argv[2:], zygote.ROLES)

"""A zygote with one barrier missing or with one part that lies: what the other parts must notice.

Arguments: the name of the weakness, then what a zygote gets.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable

import pyarrow as pa
from penstock_server.engines.duckdb import binding, instance, reader, zygote
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.sandbox import landlock, privileges, seccomp
from penstock_server.engines.duckdb.wire.frames import FrameKind
from penstock_server.engines.duckdb.wire.messages import RowCount


def _nothing(*_arguments: object, **_named: object) -> None:
    return None


def _wrap(owner: object, name: str, change: Callable[..., object]) -> None:
    """Have `change` see what a function gives, and the arguments it got."""
    real = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: change(real(*given, **named)))


def _finish_with_more() -> None:
    real = Conversation.answer

    def answer(self: Conversation, kind: FrameKind, message: object) -> None:
        if kind is FrameKind.FINISHED and isinstance(message, RowCount):
            message = RowCount(rows=message.rows + 1)
        real(self, kind, message)

    setattr(Conversation, "answer", answer)  # noqa: B010 - mypy would not see an assignment through


LIES: dict[str, Callable[[], None]] = {
    "the reader counts one row more": lambda: _wrap(
        reader, "_read", lambda reply: dataclasses.replace(reply, rows=reply.rows + 1)
    ),
    "the engine takes one row less": lambda: _wrap(binding, "publish", lambda rows: rows - 1),
    "the worker counts one row more": _finish_with_more,
    "the bound schema is another": lambda: _wrap(
        binding,
        "bind",
        lambda bound: dataclasses.replace(bound, schema=pa.schema([("x", pa.int8())]).serialize().to_pybytes()),
    ),
}
WEAKER: dict[str, Callable[[], None]] = {
    "landlock": lambda: setattr(landlock, "restrict", _nothing),
    "seccomp": lambda: setattr(seccomp, "restrict", _nothing),
    "capabilities": lambda: setattr(privileges, "drop_capabilities", _nothing),
    "doors": lambda: setattr(instance, "_close_doors", _nothing),
}


def weaken(missing: str) -> None:
    for name in WEAKER if missing == "everything" else [missing]:
        {**WEAKER, **LIES}[name]()


if __name__ == "__main__":
    weaken(sys.argv[1])
    zygote.main(sys.argv[2:], zygote.ROLES)

"""The planner: reads the metadata of one Iceberg table and the footers of its files, and ends.

It is an inspector in all but the library that it loads, before its barriers stand and before it has read a byte.
"""

from __future__ import annotations

from functools import partial

from penstock_server.engines.duckdb import instance
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.iceberg import footers
from penstock_server.engines.duckdb.iceberg.plan import IcebergPlan
from penstock_server.engines.duckdb.sandbox import privileges
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import PlanRequest

OPEN_FILES = 4096
KEPT_CAPABILITIES = frozenset({privileges.READ_ANY_FILE})


def serve(stream: FrameStream) -> None:
    """Serve one planning on this conversation, then return: the process ends."""
    # Loaded here: no other child pays for it, and once the barriers stand nothing can be.
    from penstock_server.engines.duckdb.iceberg import planning  # noqa: PLC0415 - see above

    conversation = Conversation(stream)
    try:
        opening = conversation.open(open_files=OPEN_FILES, kept_capabilities=KEPT_CAPABILITIES, may_read=True)
        conversation.opened()
        asked, given = conversation.expect_source(FrameKind.PLAN, PlanRequest)
        try:
            connection = instance.prepare_reader(memory_bytes=opening.memory_bytes)
            objects = instance.admit_source(
                connection, paths=(), database=None, objects=given.objects, courier=given.courier
            )
            if objects is None:
                return
            planned = planning.plan(objects, asked.message.metadata, partial(footers.check, connection))
        except footers.Refused as error:
            planned = IcebergPlan(refused=str(error))
        except Exception as error:  # noqa: BLE001 - the edge of a stranger's files
            planned = IcebergPlan(refused=f"its metadata or a footer cannot be read ({type(error).__name__})")
        conversation.answer(FrameKind.PLANNED, planned)
    except BrokenConversation:
        return

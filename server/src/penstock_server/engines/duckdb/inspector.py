"""The inspector: looks at the names and types of one catalog, and ends."""

from __future__ import annotations

from pathlib import Path

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import inspection, instance, relations
from penstock_server.engines.duckdb.conversation import Conversation, GivenObjects
from penstock_server.engines.duckdb.sandbox import privileges
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import InspectReply, InspectRequest
from penstock_server.errors import ConfigurationError

OPEN_FILES = 4096
KEPT_CAPABILITIES = frozenset({privileges.READ_ANY_FILE})


def serve(stream: FrameStream) -> None:
    """Serve one inspection on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        opening = conversation.open(open_files=OPEN_FILES, kept_capabilities=KEPT_CAPABILITIES, may_read=True)
        conversation.opened()
        asked, given = conversation.expect_source(FrameKind.INSPECT, InspectRequest)
        conversation.answer(FrameKind.INSPECTED, _inspect(asked.message, given, opening.memory_bytes))
    except BrokenConversation:
        return


def _inspect(request: InspectRequest, given: GivenObjects, memory_bytes: int) -> InspectReply:
    catalog = request.catalog
    try:
        connection = instance.open_reader(
            memory_bytes=memory_bytes,
            paths=_files(catalog),
            database=catalog.path if catalog.kind is CatalogKind.DATABASE else None,
            objects=given.objects,
            courier=given.courier,
        )
        return InspectReply(tables=inspection.inspect(connection, catalog, request.objects), problems=())
    except ConfigurationError as error:
        return InspectReply(tables=(), problems=error.problems)
    except Exception as error:  # noqa: BLE001 - the edge of the engine: every other fault is one line for the operator
        fault = f"catalog `{catalog.name}` ({catalog.place}): cannot be read ({type(error).__name__})"
        return InspectReply(tables=(), problems=(f"{fault}; check the path, its rights and that its files are whole",))


def _files(catalog: CatalogSettings) -> tuple[Path, ...]:
    match catalog.kind:
        case CatalogKind.DATABASE:
            return relations.database_paths(catalog.path)
        case CatalogKind.S3 | CatalogKind.GLUE:
            return ()
        case CatalogKind.PARQUET:
            return tuple(sorted(catalog.path.rglob(f"*{relations.SUFFIX}")))

"""Errors to statuses: nothing else that is raised gets past this."""

from __future__ import annotations

import logging

import grpc

from penstock_server.errors import PenstockError
from penstock_server.service.calls import REQUEST_ID_TRAILER, Call, Proceed
from penstock_server.service.logs import places
from penstock_server.service.status import DETAILS_KEY, to_status

log = logging.getLogger(__name__)


class Failures:
    """Answers with the status of whatever was raised.

    SECURITY: an exception that got out would have its text sent to the client by gRPC
    (test_an_unforeseen_error_tells_the_request_id_and_no_more).
    """

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed; turn what it raises into a status."""
        try:
            return await proceed()
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the last place before the wire
            call.failure = error
            if not isinstance(error, PenstockError):
                _log_unforeseen(call, error)
            self._answer(call, error)
            return None

    def _answer(self, call: Call, error: Exception) -> None:
        status = to_status(error, request_id=call.context.request_id)
        transport = call.transport
        transport.set_trailing_metadata(((REQUEST_ID_TRAILER, call.context.request_id), (DETAILS_KEY, status.details)))
        transport.set_code(status.code)
        transport.set_details(status.message)


def _log_unforeseen(call: Call, error: Exception) -> None:
    # SECURITY: places only. The text of an exception may hold a literal of a statement, or a cell.
    log.error(
        "an unforeseen error",
        extra={
            "request_id": call.context.request_id,
            "error": type(error).__qualname__,
            "places": places(error.__traceback__),
        },
    )

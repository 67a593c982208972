"""One line of log for every call: who, what, how it ended, how long it took; never what was asked or answered."""

from __future__ import annotations

import asyncio
import logging

from penstock_server.errors import PenstockError, Reason, Unauthenticated, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.service.calls import Call, Proceed

log = logging.getLogger(__name__)


class AccessLog:
    """Writes the line when the call is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed and log how it ended."""
        started = self._clock.monotonic()
        ended = "ok"
        try:
            answer = await proceed()
            if answer is not None:
                call.messages_sent += 1
                call.bytes_sent += len(answer)
            ended = reason_of(call.failure)
        except asyncio.CancelledError:
            ended = "cancelled"
            raise
        finally:
            self._write(call, ended, self._clock.monotonic() - started)
        return answer

    def _write(self, call: Call, ended: str, seconds: float) -> None:
        fields: dict[str, object] = {
            "method": call.method,
            "request_id": call.context.request_id,
            "peer": call.context.peer_address,
            "ended": ended,
            "milliseconds": round(seconds * 1000, 1),
            "messages": call.messages_sent,
            "bytes": call.bytes_sent,
        }
        if call.principal is not None:
            fields |= {"issuer": call.principal.issuer, "subject": call.principal.subject}
        if isinstance(call.failure, (Unauthenticated, Unavailable)) and call.failure.detail:
            # The other errors' details may quote a statement, so they stand in the audit alone.
            fields["detail"] = call.failure.detail
        level = logging.DEBUG if call.open and ended == "ok" else logging.INFO
        log.log(level, "call", extra=fields)


def reason_of(failure: BaseException | None) -> str:
    """Give how a call ended, in one word: `ok`, or the reason of its failure."""
    if failure is None:
        return "ok"
    return failure.reason.value if isinstance(failure, PenstockError) else Reason.INTERNAL.value

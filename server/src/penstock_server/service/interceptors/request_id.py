"""Every answer says which call it answers."""

from __future__ import annotations

from penstock_server.service.calls import REQUEST_ID_TRAILER, Call, Proceed


class RequestId:
    """Sets the trailer before anything can fail."""

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed."""
        call.transport.set_trailing_metadata(((REQUEST_ID_TRAILER, call.context.request_id),))
        return await proceed()

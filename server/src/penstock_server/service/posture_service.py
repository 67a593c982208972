"""penstock.v1.PostureService."""

from __future__ import annotations

from penstock.v1 import posture_service_pb2 as messages

from penstock_server.broker.posture import LocationPosture, PostureBroker
from penstock_server.model.posture import Requirement
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp
from penstock_server.service.paging import PageTokens

NAME = "penstock.v1.PostureService"

_REQUIREMENTS = {
    Requirement.ENCRYPTED: messages.REQUIREMENT_ENCRYPTED,
    Requirement.PRIVATE: messages.REQUIREMENT_PRIVATE,
}
_STATES = {
    True: messages.POSTURE_STATE_MET,
    False: messages.POSTURE_STATE_NOT_MET,
    None: messages.POSTURE_STATE_UNKNOWN,
}


class PostureService:
    """Shows what is found of locations."""

    def __init__(self, broker: PostureBroker, pages: PageTokens) -> None:
        self._broker = broker
        self._pages = pages

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(name=f"/{NAME}/ListFindings", request=messages.ListFindingsRequest, answer=self.list_findings),
        )

    async def list_findings(self, request: messages.ListFindingsRequest, call: Call) -> messages.ListFindingsResponse:
        """List locations, sorted."""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question="")
        found = await self._broker.list_findings(caller_of(call), page)
        return messages.ListFindingsResponse(
            locations=[_location(item) for item in found.items],
            next_page_token=self._pages.token(call, end=found.end, question=""),
        )


def _location(found: LocationPosture) -> messages.LocationFindings:
    return messages.LocationFindings(
        location=found.location.text,
        bucket=found.posture.bucket,
        check_time=timestamp(found.posture.checked_at),
        findings=[
            messages.Finding(
                requirement=_REQUIREMENTS[each.requirement],
                state=_STATES[each.met],
                sentence=each.why,
                remedy=each.remedy,
            )
            for each in found.posture.findings
        ],
    )

"""Refuses a session policy that is not proved, and makes it known."""

from __future__ import annotations

import logging
from collections.abc import Callable

from penstock_server.credentials.proof.grounds import Grounds, beyond
from penstock_server.credentials.proof.item_grounds import ItemGrounds, items_beyond
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy, Refused
from penstock_server.credentials.proof.patterns import NotUnderstood
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.proof.service_grounds import ServiceGrounds, services_beyond
from penstock_server.errors import Disagreement

log = logging.getLogger(__name__)


def require_proved(
    text: str,
    decided: Decided,
    grounds: Callable[[], Grounds],
    *,
    request_id: str,
    item_grounds: Callable[[], ItemGrounds] | None = None,
    service_grounds: Callable[[], ServiceGrounds] | None = None,
) -> ProvedPolicy:
    """Give a session policy as proved: exactly this text, and nothing else, may be sent.

    `grounds` finds what the decision on S3 rests on, which it must not go beyond, `item_grounds` what that on items of
    DynamoDB does, `service_grounds` that on resources of other services; None = it may hold none.

    An operator is alerted where it is not: by a log line of level error with the request id, and by the audit record
    of the failure, which holds the text and the offending request as well.

    Raises:
        Disagreement: the second reading does not find the text to be what was decided, or the decision to be within
            its grounds.
    """
    outcome = _outcome(text, decided, grounds, item_grounds, service_grounds)
    if isinstance(outcome, ProvedPolicy):
        return outcome
    witness = "" if outcome.witness is None else str(outcome.witness)
    # SECURITY: logs hold nothing that was asked; the request id leads to the record, which holds the offending request.
    log.error(
        "a session policy is not what was decided, and was not sent",
        extra={"request_id": request_id, "doubt": outcome.doubt.value},
    )
    raise Disagreement(
        "the session policy could not be proved to be what was decided, and nothing was issued",
        detail=f"the session policy {outcome}",
        evidence=(
            ("session_policy", text),
            ("doubt", outcome.doubt.value),
            ("offending_request", witness),
        ),
    )


def _outcome(
    text: str,
    decided: Decided,
    grounds: Callable[[], Grounds],
    item_grounds: Callable[[], ItemGrounds] | None,
    service_grounds: Callable[[], ServiceGrounds] | None,
) -> ProvedPolicy | Refused:
    nothing = ItemGrounds(granted=(), denied=(), asked=())
    no_service = ServiceGrounds(granted=(), denied=(), asked=())
    try:
        refused = beyond(decided.scopes, grounds()) if decided.scopes else None
        if refused is None and decided.items:
            refused = items_beyond(decided.items, nothing if item_grounds is None else item_grounds())
        if refused is None and decided.services:
            found = no_service if service_grounds is None else service_grounds()
            refused = services_beyond(decided.services, found)
    except NotUnderstood as error:
        refused = Refused(doubt=Doubt.NOT_UNDERSTOOD, detail=str(error))
    return refused or prove(text, decided)

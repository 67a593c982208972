"""penstock.v1.AccessService."""

from __future__ import annotations

from penstock.v1 import access_service_pb2 as messages

from penstock_server.broker.access import AccessAnswer, AccessBroker
from penstock_server.model.decision import TableDecision, TableDescribed, TableHidden
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import described_columns, explanation, governed_columns

NAME = "penstock.v1.AccessService"


class AccessService:
    """Answers what the caller may do."""

    def __init__(self, broker: AccessBroker) -> None:
        self._broker = broker

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(name=f"/{NAME}/CheckAccess", request=messages.CheckAccessRequest, answer=self.check_access),
            UnaryMethod(
                name=f"/{NAME}/ExplainAccess", request=messages.ExplainAccessRequest, answer=self.explain_access
            ),
        )

    async def check_access(self, request: messages.CheckAccessRequest, call: Call) -> messages.CheckAccessResponse:
        """Decide a batch of questions."""
        checked = await self._broker.check(caller_of(call), tuple(request.tables))
        return messages.CheckAccessResponse(
            results=[_result(answer) for answer in checked.answers], policy_version=checked.policy_version
        )

    async def explain_access(
        self, request: messages.ExplainAccessRequest, call: Call
    ) -> messages.ExplainAccessResponse:
        """Explain a decision about one table."""
        explained = await self._broker.explain(caller_of(call), request.table)
        return messages.ExplainAccessResponse(
            explanation=explanation(explained.tree), policy_version=explained.policy_version
        )


def _result(answer: AccessAnswer) -> messages.AccessResult:
    match answer.outcome:
        case TableDecision():
            return messages.AccessResult(
                table=answer.asked,
                access=messages.TABLE_ACCESS_SELECT,
                columns=governed_columns(answer.outcome.table, answer.outcome.shaping),
                rows_filtered=answer.outcome.shaping.rows_filtered,
            )
        case TableDescribed():
            return messages.AccessResult(
                table=answer.asked,
                access=messages.TABLE_ACCESS_DESCRIBE,
                columns=described_columns(answer.outcome.columns),
            )
        case TableHidden():
            return messages.AccessResult(table=answer.asked, access=messages.TABLE_ACCESS_NOT_FOUND)

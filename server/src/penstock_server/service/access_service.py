"""penstock.v1.AccessService."""

from __future__ import annotations

from penstock.v1 import access_service_pb2 as messages

from penstock_server.broker.access import AccessAnswer, AccessBroker
from penstock_server.broker.explained_principals import AskedPrincipal
from penstock_server.errors import InvalidRequest
from penstock_server.model.decision import TableDecision, TableDescribed, TableHidden
from penstock_server.query.requests import QueryRequest
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import described_columns, explanation, governed_columns
from penstock_server.service.parameters import names, parameters

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
        """Explain a decision about one table, or those about the tables of a statement."""
        caller = caller_of(call)
        asked = asked_principal(request.principal) if request.HasField("principal") else None
        if request.HasField("query"):
            if request.table:
                raise InvalidRequest("table", "nothing, where a statement is given")
            query = QueryRequest(
                sql=request.query.sql,
                catalog=request.query.catalog or None,
                parameters=parameters(request.query.parameters),
                parameter_names=names(request.query.parameters),
                timeout=None,
            )
            of_query = await self._broker.explain_query(caller, query, asked)
            return messages.ExplainAccessResponse(
                explanation=explanation(of_query.tree),
                policy_version=of_query.policy_version,
                used_columns=[
                    messages.UsedColumns(table=str(table), columns=columns) for table, columns in of_query.used_columns
                ],
            )
        if asked is None:
            explained = await self._broker.explain(caller, request.table)
        else:
            explained = await self._broker.explain_of_other(caller, request.table, asked)
        return messages.ExplainAccessResponse(
            explanation=explanation(explained.tree), policy_version=explained.policy_version
        )


def asked_principal(message: messages.ExplainedPrincipal) -> AskedPrincipal:
    """Give the principal of whom is asked, as the request describes them."""
    return AskedPrincipal(
        issuer=message.issuer,
        username=message.username,
        subject=message.subject,
        groups=tuple(message.groups),
        attributes=tuple((attribute.name, tuple(attribute.values)) for attribute in message.attributes),
        source_address=message.source_address,
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

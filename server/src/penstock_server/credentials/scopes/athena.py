"""Athena: queries in one workgroup.

QUERY = BatchGetQueryExecution, GetQueryExecution, GetQueryResults, GetQueryResultsStream, GetWorkGroup,
ListQueryExecutions, StartQueryExecution, StopQueryExecution, on the workgroup.

Athena knows no owner of a query: everybody in a workgroup reads everybody's results and texts. So a workgroup is in
one grant alone, whose people may read each other's results; they are people who see all of every table
(`closed_services`). A query reads metadata and files as the caller, so that the session also holds what Glue and S3
need, and nothing else can be read by it.

The workgroup must be one that Penstock alone serves, with its configuration enforced (else a caller chooses where
results go) and the SQL engine: Spark runs as the workgroup's own role, which no session policy limits. Neither can be
seen from here.

Never: named queries, prepared statements, sessions and notebooks of Spark, other catalogs, every change of a workgroup.

Source: AWS service authorization reference, Amazon Athena; Athena user guide, "Workgroup settings override client-side
settings".
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.scopes.named_resources import Reach
from penstock_server.credentials.session_policy import Pattern
from penstock_server.model.services import ServiceScope

_QUERY: Final = (
    "athena:BatchGetQueryExecution",
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetQueryResultsStream",
    "athena:GetWorkGroup",
    "athena:ListQueryExecutions",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
)


def reaches(scope: ServiceScope) -> tuple[Reach, ...]:
    """Give what a scope reaches."""
    return (Reach(actions=_QUERY, resources=(Pattern(str(scope.target)),)),)

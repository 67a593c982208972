"""Glue: metadata of tables and databases.

| permission | a table | a database |
|---|---|---|
| DESCRIBE | BatchGetPartition, GetDatabase, GetPartition, GetPartitions, GetTable | GetDatabase |

Glue authorises a request on a table three times: on the catalog, on the database and on the table. So the ARNs of all
three stand in the statement, each whole. They add nothing of another table, whose own ARN is not there.

Column statistics (least, greatest, number of different values) need no more than GetTable, and partitions are values of
columns: this is raw data, for full tables only (`closed_services`). Never: GetTables and SearchTables (they list what
is there), versions of a table, every change, functions, connections, jobs.

Source: AWS service authorization reference, AWS Glue; Glue developer guide, "Specifying AWS Glue resource ARNs"; Glue
API reference, GetColumnStatisticsForTable.
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.scopes.named_resources import Reach
from penstock_server.credentials.session_policy import Pattern
from penstock_server.model.services import ServiceScope

_DATABASE: Final = "glue:GetDatabase"
_TABLE: Final = ("glue:BatchGetPartition", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable")


def reaches(scope: ServiceScope) -> tuple[Reach, ...]:
    """Give what a scope reaches."""
    target = scope.target
    place = f"arn:aws:glue:{target.region}:{target.account}"
    kind, database, *_ = target.name.split("/")
    around = (Pattern(f"{place}:catalog"), Pattern(f"{place}:database/{database}"))
    described = Reach(actions=(_DATABASE,), resources=around)
    if kind == "database":
        return (described,)
    return described, Reach(actions=_TABLE, resources=(*around, Pattern(str(target))))

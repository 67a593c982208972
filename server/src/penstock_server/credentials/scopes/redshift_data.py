"""The Redshift Data API: statements on one cluster, as one database user, and their results for who sent them.

| permission | on | actions |
|---|---|---|
| QUERY | the cluster | ExecuteStatement |
| | statements of one's own | CancelStatement, DescribeStatement, GetStatementResult |
| | the database and the database user | redshift:GetClusterCredentials, by the Data API alone |

All who are issued sessions of one role are one principal to the Data API, and would read each other's results: so
`statement-owner-iam-userid` must be `${aws:userid}`, which ends in the name of the session, and that is one for each
person. A session of the Data API may be gone on with only by who began it (`session-owner-iam-userid`, which a
statement without such a session does not have).

Actions on statements have no resource; the owner holds them to the session's own. For a statement the
Data API asks Redshift for a password in the caller's name: allowed for the one user and database of the grant, and only
where a service asks (`aws:ViaAWSService`), so that the password, which outlives a revocation, never reaches the caller.
A user is not created by it, and is in no group that Redshift does not know of it.

Never: secrets, other users, the lists (they go round the owner), serverless workgroups, whose database user is the
role's and so everybody's; nor batches, for which a session policy has no room beside the fence.

Not tried on AWS: that the Data API's request for the password has `aws:ViaAWSService`, and that
`session-owner-iam-userid` is absent where no session is gone on with. If not, statements fail.
Source: AWS service authorization reference, Amazon Redshift Data API and Amazon Redshift; Redshift management guide,
"Authorizing access to the Amazon Redshift Data API".
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.scopes.named_resources import ANY, KeyRule, Reach, Rule
from penstock_server.credentials.session_policy import Pattern
from penstock_server.model.services import ServiceScope

SELF: Final = Pattern("${aws:userid}")
_SENT: Final = ("redshift-data:ExecuteStatement",)
_OWN: Final = (
    "redshift-data:CancelStatement",
    "redshift-data:DescribeStatement",
    "redshift-data:GetStatementResult",
)


def reaches(scope: ServiceScope) -> tuple[Reach, ...]:
    """Give what a scope reaches."""
    target = scope.target
    limits = {limit.name: limit.values for limit in scope.limits}
    cluster = target.name.removeprefix("cluster:")
    place = f"arn:aws:redshift:{target.region}:{target.account}"
    (user,), (database,) = limits["database_user"], limits["database"]
    return (
        Reach(
            actions=_SENT,
            resources=(Pattern(str(target)),),
            rules=(KeyRule(key="redshift-data:session-owner-iam-userid", values=(SELF,), rule=Rule.IS_IF_THERE),),
        ),
        Reach(
            actions=_OWN,
            resources=(ANY,),
            rules=(KeyRule(key="redshift-data:statement-owner-iam-userid", values=(SELF,)),),
        ),
        Reach(
            actions=("redshift:GetClusterCredentials",),
            resources=(
                Pattern(f"{place}:dbname:{cluster}/{database}"),
                Pattern(f"{place}:dbuser:{cluster}/{user}"),
            ),
            rules=(KeyRule(key="aws:ViaAWSService", values=(Pattern("true"),), rule=Rule.IS_TRUE),),
        ),
    )

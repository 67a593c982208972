"""Whether AWS refuses the broker a password of a user that is not one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from penstock_server.aws.probes import Outcome, Probes
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.config.settings import RedshiftSettings

SUBJECT: Final = "aws redshift"
SUPERUSER: Final = "awsuser"
"""What AWS's console calls the first superuser of a cluster."""


async def findings(probes: Probes, logins: Sequence[RedshiftSettings]) -> AsyncIterator[Finding]:
    """Look at each cluster. A password that is given all the same is looked at by nobody."""
    for login in logins:
        if not login.cluster_identifier or login.shared is not None:
            continue
        claim = f"`{login.name}` gives the broker no password of `{SUPERUSER}`"
        parameters = {
            "DbUser": SUPERUSER,
            "DbName": login.database,
            "ClusterIdentifier": login.cluster_identifier,
            "AutoCreate": False,
            "DurationSeconds": 900,
        }
        probed = await probes.ask("redshift", "get_cluster_credentials", parameters, region=login.region)
        if probed.answered:
            fix = f"deny the broker's role redshift:GetClusterCredentials on every dbuser but `*/{login.user_prefix}*`"
            yield failed(SUBJECT, claim, "AWS gave one", fix=fix)
        elif probed.outcome is Outcome.DENIED:
            yield ok(SUBJECT, claim)
        else:
            yield cannot_know(
                SUBJECT, claim, probed.why, fix="see that the cluster is there, under this region and name"
            )

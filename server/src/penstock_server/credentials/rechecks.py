"""Looks at live leases anew whenever another policy decides, or the same over other catalogs.

A lease is revoked where what it was asked for would be refused now, would reach less, or would have ended earlier; and
where it cannot be told. A lease in status ISSUING is looked at too. Facts are those of the request, and the groups of
its token: a person whose groups changed at their provider has the old ones until the token ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Final, Protocol

from penstock_server.credentials.grounds_of_leases import LeaseGrounds, read_grounds
from penstock_server.credentials.leases import same_policy
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.ports import LeaseStore, RevocationStore
from penstock_server.model.resource import Door
from penstock_server.policy.bound import BoundPolicy

log = logging.getLogger(__name__)

_PAGE: Final = 200


class Recheck(Protocol):
    """A door that decides a lease anew."""

    def recheck(self, policy: BoundPolicy, lease: Lease, grounds: LeaseGrounds) -> str:
        """Say why the lease would not be given any more, "" where it would be."""
        ...


class LeaseRechecks:
    """Re-checks by the doors; `policies` gives the policy now, or raises Unavailable."""

    def __init__(
        self,
        *,
        policies: Callable[[], BoundPolicy],
        leases: LeaseStore,
        revocations: RevocationStore,
        aws: Recheck,
        redshift: Recheck,
        spark: Recheck | None = None,
    ) -> None:
        self._policies = policies
        self._leases = leases
        self._revocations = revocations
        self._doors = {Door.AWS: aws, Door.REDSHIFT: redshift}
        if spark is not None:
            self._doors[Door.SPARK] = spark
        self._checked: BoundPolicy | None = None

    async def turn(self) -> int:
        """Look at every live lease, unless the policy is the one of the last look; give how many were revoked.

        Raises:
            Unavailable: there is no policy, or no state; the next turn begins anew.
        """
        policy = self._policies()
        if self._checked is not None and same_policy(policy, self._checked):
            return 0
        revoked, after = 0, ""
        while page := await self._leases.live(after=after, limit=_PAGE):
            refused: dict[str, list[LeaseId]] = defaultdict(list)
            for lease in page:
                why = self._why_not(policy, lease)
                if why:
                    refused[why].append(lease.id)
                await asyncio.sleep(0)  # decisions take time; calls go on between them
            for why, ids in refused.items():
                cause = f"the policy changed: {why}"
                revoked += (await self._revocations.revoke_leases(ids, cause=cause, recorded=False)).leases
            after = page[-1].id
        self._checked = policy
        if revoked:
            log.warning("leases were revoked because the policy changed", extra={"leases": revoked})
        return revoked

    def _why_not(self, policy: BoundPolicy, lease: Lease) -> str:
        door = self._doors.get(lease.door)
        if door is None:
            return "no door knows it"
        try:
            grounds = read_grounds(lease.grounds)
        except ValueError:
            # SECURITY: what cannot be decided anew counts as refused.
            return "what it stands on cannot be read"
        return door.recheck(policy, lease, grounds)

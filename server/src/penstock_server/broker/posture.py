"""What is found of the locations behind grants, for auditors and administrators."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.broker.policies import Policies
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.audit import Event
from penstock_server.model.posture import BucketPosture
from penstock_server.model.resource import S3Location
from penstock_server.posture.locations import Location, locations, s3_grants
from penstock_server.posture.watch import PostureWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationPosture:
    """A location and what was found of its bucket."""

    location: Location
    posture: BucketPosture


class PostureBroker:
    """Answers PostureService."""

    def __init__(
        self,
        *,
        policies: Policies,
        catalogs: tuple[S3Location, ...],
        watch: PostureWatch,
        roles: Roles,
        records: DecisionRecords,
    ) -> None:
        self._policies = policies
        self._catalogs = catalogs
        self._watch = watch
        self._roles = roles
        self._records = records

    async def list_findings(self, caller: Caller, page: PageRequest) -> Page[LocationPosture]:
        """Give what is found of each location, sorted.

        Raises:
            AccessDenied: the caller is neither auditor nor administrator (`ROLE_REQUIRED`), or no AWS is configured.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.POSTURE_SHOWN, caller=caller, resources=("findings",))
        async with self._records.refusals(question):
            if not self._roles.is_administrator(caller.principal):
                self._roles.require_auditor(caller.principal)
            limit = page.limit()
            policy = self._policies.bound()
            every = locations(self._catalogs, s3_grants(policy))
            left = [location for location in every if location.text > page.after]
            found = [await self._found(location) for location in left[:limit]]
        await self._records.allowed(question, policy.version, details=())
        return Page(items=tuple(found), end=found[-1].location.text if len(left) > limit else "")

    async def _found(self, location: Location) -> LocationPosture:
        posture = await self._watch.finding(location.bucket)
        if posture is None:
            raise AccessDenied(
                Reason.NOT_CONFIGURED, "no AWS is configured here", hint="ask the operator for `credentials.aws`"
            )
        return LocationPosture(location=location, posture=posture)

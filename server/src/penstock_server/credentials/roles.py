"""Which IAM role a session is made from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from penstock_server.aws.sts import fits_external_id
from penstock_server.config.settings import RoleSettings
from penstock_server.credentials.arns import RequestedArn, parse_s3_arn
from penstock_server.errors import AccessDenied, ConfigurationError, InvalidRequest, Reason
from penstock_server.model.dynamodb import DynamoDbTarget, parse_target
from penstock_server.model.ports import SecretResolver
from penstock_server.model.secret import Secret
from penstock_server.model.services import ServiceTarget, parse_service_target, service_of

_DYNAMODB = "arn:aws:dynamodb:"
_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account>[0-9]{12}):role/[\w+=,.@/-]{1,576}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRole:
    """A role that the broker may assume. `account` is its twelve digits; `serves` are whole buckets or prefixes.

    `tables` are tables of DynamoDB in its account, each with all of its indexes, `services` resources of other
    services there, a stream with its consumers, a database with its tables. `bucket_accounts` are (bucket,
    account) of served buckets that another account owns; their own policies let the role in.
    """

    name: str
    arn: str
    account: str
    external_id: Secret[str] | None
    serves: tuple[RequestedArn, ...]
    max_ttl: timedelta
    tables: tuple[DynamoDbTarget, ...] = ()
    services: tuple[ServiceTarget, ...] = ()
    bucket_accounts: tuple[tuple[str, str], ...] = ()

    def owner_of(
        self, requested: Sequence[RequestedArn], targets: Sequence[DynamoDbTarget | ServiceTarget] = ()
    ) -> str:
        """Give the one account that owns all of a request.

        Raises:
            InvalidRequest: several do: a session names one, so that a bucket which somebody else registers is not it.
        """
        owners = dict(self.bucket_accounts)
        found = [(arn.text, owners.get(arn.location.bucket, self.account)) for arn in requested]
        found += [(str(target), self.account) for target in targets]
        elsewhere = [text for text, owner in found if owner != found[0][1]]
        if elsewhere:
            raise InvalidRequest(
                "resources",
                "must all be owned by one AWS account",
                hint="ask in a request of its own for " + ", ".join(f"`{text}`" for text in elsewhere),
            )
        return found[0][1] if found else self.account

    def serves_all_of(self, requested: RequestedArn | DynamoDbTarget | ServiceTarget) -> bool:
        """Tell whether everything that is requested lies in what this role serves."""
        if isinstance(requested, DynamoDbTarget):
            return any(requested.lies_in(table) for table in self.tables)
        if isinstance(requested, ServiceTarget):
            return any(requested.lies_in(served) for served in self.services)
        return any(_covers(served, requested) for served in self.serves)


class RoleTable:
    """The configured roles. No two serve a common key, so that one role or none fits a request."""

    def __init__(self, roles: Sequence[TargetRole]) -> None:
        for index, role in enumerate(roles):
            for other in roles[index + 1 :]:
                if _serve_in_common(role, other):
                    raise ConfigurationError(
                        (
                            f"credentials.aws.roles: `{role.name}` and `{other.name}` serve a common location;"
                            " give each location to one role",
                        )
                    )
        self._roles = tuple(roles)

    @property
    def roles(self) -> tuple[TargetRole, ...]:
        """All of them, in the order of the configuration."""
        return self._roles

    def role_for(
        self, requested: Sequence[RequestedArn], targets: Sequence[DynamoDbTarget | ServiceTarget] = ()
    ) -> TargetRole:
        """Give the one role that serves all of the request.

        Raises:
            AccessDenied: no role serves one of them (`NOT_CONFIGURED`).
            InvalidRequest: they are served by different roles, so that one session can't reach them all.
        """
        found = [(arn.text, self._one_role(arn)) for arn in requested]
        found += [(str(target), self._one_role(target)) for target in targets]
        first = found[0][1]
        elsewhere = [text for text, role in found if role is not first]
        if elsewhere:
            raise InvalidRequest(
                "resources",
                "must all be served by one AWS role",
                hint="ask in a request of its own for " + ", ".join(f"`{text}`" for text in elsewhere),
            )
        return first

    def _one_role(self, asked: RequestedArn | DynamoDbTarget | ServiceTarget) -> TargetRole:
        text = asked.text if isinstance(asked, RequestedArn) else str(asked)
        role = next((role for role in self._roles if role.serves_all_of(asked)), None)
        if role is None:
            raise AccessDenied(
                Reason.NOT_CONFIGURED,
                f"no AWS role of this service serves `{text}`",
                hint="ask the operator to add it to `serves` of a role under `credentials.aws.roles`",
                metadata=(("resource", text),),
            )
        return role


def read_roles(settings: Sequence[RoleSettings], secrets: SecretResolver) -> RoleTable:
    """Read the configured roles and resolve their external ids.

    Raises:
        ConfigurationError: an ARN has no such form, an external id cannot be resolved, or two roles overlap.
    """
    return RoleTable([_read(role, secrets) for role in settings])


def _read(settings: RoleSettings, secrets: SecretResolver) -> TargetRole:
    place = f"credentials.aws.roles.{settings.name}"
    matched = _ROLE_ARN.fullmatch(settings.arn)
    if matched is None:
        raise ConfigurationError((f"{place}.arn: `{settings.arn}` is not `arn:aws:iam::ACCOUNT:role/NAME`",))
    return TargetRole(
        name=settings.name,
        arn=settings.arn,
        account=matched["account"],
        external_id=_external_id(settings.external_id, place, secrets),
        serves=tuple(
            _served(text, place)
            for text in settings.serves
            if not text.startswith(_DYNAMODB) and service_of(text) is None
        ),
        services=tuple(
            _service(text, place, matched["account"]) for text in settings.serves if service_of(text) is not None
        ),
        tables=tuple(_table(text, place, matched["account"]) for text in settings.serves if text.startswith(_DYNAMODB)),
        max_ttl=settings.max_ttl,
        bucket_accounts=settings.bucket_accounts,
    )


def _external_id(reference: str | None, place: str, secrets: SecretResolver) -> Secret[str] | None:
    if reference is None:
        return None
    found = secrets.resolve(reference)
    if not fits_external_id(found):
        raise ConfigurationError((f"{place}.external_id: what `{reference}` leads to is none that STS accepts",))
    return found


def _table(text: str, place: str, account: str) -> DynamoDbTarget:
    try:
        target = parse_target(text)
    except ValueError as error:
        raise ConfigurationError((f"{place}.serves: `{text}` {error}",)) from error
    if target.index is not None:
        raise ConfigurationError((f"{place}.serves: `{text}` is an index; name its table, which serves them all",))
    # AWS: a session reaches a table of another account only by a policy of that table, which we do not know.
    if target.account != account:
        raise ConfigurationError((f"{place}.serves: `{text}` lies in another account than the role",))
    return target


def _service(text: str, place: str, account: str) -> ServiceTarget:
    try:
        target = parse_service_target(text)
    except ValueError as error:
        raise ConfigurationError((f"{place}.serves: `{text}` {error}",)) from error
    # AWS: a session reaches what is another account's only by a policy of that resource, which we do not know.
    if target.account != account:
        raise ConfigurationError((f"{place}.serves: `{text}` lies in another account than the role",))
    return target


def _serve_in_common(one: TargetRole, two: TargetRole) -> bool:
    if set(one.tables) & set(two.tables):
        return True
    if any(a.lies_in(b) or b.lies_in(a) for a in one.services for b in two.services):
        return True
    return any(_meet(a, b) for a in one.serves for b in two.serves)


def _served(pattern: str, place: str) -> RequestedArn:
    # A bare bucket means all of it.
    text = pattern if "/" in pattern else f"{pattern}/*"
    try:
        return parse_s3_arn(text, field=f"{place}.serves")
    except InvalidRequest as error:
        raise ConfigurationError((f"{place}.serves: `{pattern}`: {error.fields[0].rule}",)) from error


def _covers(served: RequestedArn, requested: RequestedArn) -> bool:
    if served.location.bucket != requested.location.bucket:
        return False
    if served.exact:
        return requested.exact and requested.location.key == served.location.key
    return requested.location.key.startswith(served.location.key)


def _meet(one: RequestedArn, two: RequestedArn) -> bool:
    return _covers(one, two) or _covers(two, one)

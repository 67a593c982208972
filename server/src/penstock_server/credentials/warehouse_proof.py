"""Shows from the catalogs of a warehouse that it enforces a role, and that nothing else lets people in.

Row policies alone confine nobody: who may COPY with a role of the warehouse reads the files, and who owns a table, is a
superuser or may ignore policies sees all of it. Each condition is a named check; the login is given only where none
fails. *People* are the users of the prefix, the roles of ours, and PUBLIC.

What it cannot see: the text of a policy that somebody with `sys:secadmin` altered under its name.

Source: Redshift database developer guide, "Row-level security", ATTACH RLS POLICY, "Usage notes" of GRANT.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penstock_server.credentials.leases import same_policy
from penstock_server.engines.redshift.setup import LEASE_MARK, ROLE_MARK
from penstock_server.engines.redshift.sync import expected_attached, expected_privileges, table_problems
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.native import NativeRole, Privilege, WarehouseFacts
from penstock_server.policy.bound import BoundPolicy

log = logging.getLogger(__name__)

FRESH_FOR: Final = timedelta(seconds=60)
"""How long a look at the catalogs counts, unless the policy changes before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a proof stands on: the facts, our prefix, the schemas that hold nothing secret, and the policy's tables."""

    facts: WarehouseFacts
    prefix: str
    open_schemas: frozenset[str]
    governed: tuple[tuple[str, str], ...]

    def is_ours(self, kind: str, holder: str) -> bool:
        """Tell whether a holder of something is one of the people."""
        if kind == "public":
            return True
        return kind in {"user", "role"} and holder.startswith(self.prefix)

    def held(self) -> Iterable[Privilege]:
        """Give all that people hold."""
        return (one for one in self.facts.privileges if self.is_ours(one.kind, one.holder))

    @property
    def roles(self) -> str:
        """How the names of our roles begin."""
        return self.prefix + ROLE_MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A check that fails, with what was found; for operators alone."""

    check: str
    found: str


Check = Callable[[Ground], Iterable[str]]


def no_superuser(ground: Ground) -> Iterable[str]:
    """No user of the prefix is a superuser."""
    return (name for name in ground.facts.superusers if name.startswith(ground.prefix))


def no_other_membership(ground: Ground) -> Iterable[str]:
    """Users of leases have a role of ours and no other; roles of ours, and other users of the prefix, have none."""
    for member, of in ground.facts.memberships:
        leased = member.startswith(ground.prefix + LEASE_MARK)
        if member.startswith(ground.prefix) and not (leased and of.startswith(ground.roles)):
            yield f"{member} is a member of {of}"


def no_system_privilege(ground: Ground) -> Iterable[str]:
    """People have no system privilege, IGNORE RLS among them."""
    return (
        f"{privilege} is held by {kind} {name}"
        for privilege, kind, name in ground.facts.system_privileges
        if ground.is_ours(kind.lower(), name)
    )


def no_ownership(ground: Ground) -> Iterable[str]:
    """People own no relation."""
    return (
        f"{owner} owns {schema}.{name}"
        for schema, name, _, owner in ground.facts.relations
        if owner.startswith(ground.prefix)
    )


def no_create(ground: Ground) -> Iterable[str]:
    """People may create nothing that stays."""
    return (f"CREATE on {one.schema or 'the database'} is held by {one.kind} {one.holder}" for one in ground.held()
            if one.privilege == "CREATE")  # fmt: skip


def no_assumerole(ground: Ground) -> Iterable[str]:
    """Nobody may use the warehouse's own roles: COPY and UNLOAD reach the files, with TEMP tables or without."""
    return _assumed(ground)


def no_temp_with_assumerole(ground: Ground) -> Iterable[str]:
    """TEMP is let be only where nobody holds ASSUMEROLE."""
    temp = any(one.privilege in {"TEMP", "TEMPORARY"} for one in ground.held())
    return ("people hold TEMP while ASSUMEROLE is held",) if temp and any(_assumed(ground)) else ()


def _assumed(ground: Ground) -> Iterable[str]:
    yield from (f"PUBLIC holds ASSUMEROLE for {command}" for command in ground.facts.assumable)
    # SECURITY: the question above is about the default role alone; a grant may name another one, or one of our roles.
    for command, kind, holder in ground.facts.assumed_by:
        if ground.is_ours(kind, holder):
            yield f"{kind} {holder} holds ASSUMEROLE for {command}"


def no_external_schema(ground: Ground) -> Iterable[str]:
    """There is no external schema: its tables have no row policies."""
    return ground.facts.external_schemas


def nothing_else_is_readable(ground: Ground) -> Iterable[str]:
    """People read the tables of the policy, by roles of ours, and ordinary tables of open schemas."""
    ordinary = {(schema, name) for schema, name, kind, _ in ground.facts.relations if kind == "r"}
    ordinary -= ground.facts.materialized
    governed = frozenset(ground.governed)
    for one in ground.held():
        if not one.relation:
            continue
        where = (one.schema, one.relation)
        by_role = one.kind == "role" and one.holder.startswith(ground.roles)
        if where in governed and by_role and one.privilege == "SELECT":
            continue
        if where not in governed and one.schema in ground.open_schemas and where in ordinary:
            continue
        yield f"{one.privilege} on {one.schema}.{one.relation} is held by {one.kind} {one.holder}"


def no_materialized_view(ground: Ground) -> Iterable[str]:
    """Open schemas hold no view that was filled by somebody who sees more."""
    views = {(schema, name) for schema, name, kind, _ in ground.facts.relations if kind in {"v", "m"}}
    return (
        f"{schema}.{name} is a view in an open schema"
        for schema, name in views | ground.facts.materialized
        if schema in ground.open_schemas
    )


def no_definer_procedure(ground: Ground) -> Iterable[str]:
    """No procedure but ours runs with the rights of its owner."""
    return (f"{schema}.{name}" for schema, name in ground.facts.definer_procedures)


def rows_are_secured(ground: Ground) -> Iterable[str]:
    """Row security is on for each table of the policy that is there, with policies joined by AND."""
    there = {(schema, name) for schema, name, _, _ in ground.facts.relations}
    on = {(one.schema, one.relation) for one in ground.facts.secured if one.on and one.joined_by == "and"}
    return (f"{schema}.{name}" for schema, name in ground.governed if (schema, name) in there - on)


def rows_are_secured_in_datashares(ground: Ground) -> Iterable[str]:
    """Row security holds through datashares too."""
    there = {(schema, name) for schema, name, _, _ in ground.facts.relations}
    on = {(one.schema, one.relation) for one in ground.facts.secured if one.for_datashares}
    return (f"{schema}.{name}" for schema, name in ground.governed if (schema, name) in there - on)


def only_ours_is_attached(ground: Ground) -> Iterable[str]:
    """Nothing is attached for PUBLIC or for users of the prefix: it would be joined to what the role has."""
    return (
        f"{one.policy} is attached to {one.schema}.{one.relation} for {one.kind} {one.holder}"
        for one in ground.facts.attached
        if ground.is_ours(one.kind, one.holder) and not (one.kind == "role" and one.holder.startswith(ground.roles))
    )


CHECKS: Final[tuple[Check, ...]] = (
    no_superuser,
    no_other_membership,
    no_system_privilege,
    no_ownership,
    no_create,
    no_assumerole,
    no_temp_with_assumerole,
    no_external_schema,
    nothing_else_is_readable,
    no_materialized_view,
    no_definer_procedure,
    rows_are_secured,
    rows_are_secured_in_datashares,
    only_ours_is_attached,
)
"""All of them count, always."""


def failures(ground: Ground) -> tuple[Failure, ...]:
    """Give every condition of the warehouse that does not hold, in the order of the checks."""
    return tuple(Failure(check=check.__name__, found=found) for check in CHECKS for found in sorted(check(ground)))


def role_failures(role: NativeRole, ground: Ground) -> tuple[Failure, ...]:
    """Give what keeps a role from being exactly what the policy says."""
    facts = ground.facts
    if role.name not in facts.roles:
        return (Failure(check="role_is_synced", found=f"{role.name} is not there"),)
    found = [
        Failure(check="tables_are_as_bound", found=text)
        for table in role.tables
        for text in table_problems(table, facts)
    ]
    held = frozenset(one for one in facts.privileges if (one.kind, one.holder) == ("role", role.name))
    if held != expected_privileges(role):
        found.append(Failure(check="role_holds_exactly_its_columns", found=role.name))
    attached = frozenset(one for one in facts.attached if (one.kind, one.holder) == ("role", role.name))
    if attached != expected_attached(role):
        found.append(Failure(check="role_has_exactly_its_policies", found=role.name))
    return tuple(found)


class WarehouseProver:
    """Proofs for one warehouse; `read` looks at its catalogs."""

    def __init__(
        self,
        *,
        read: Callable[[], Awaitable[WarehouseFacts]],
        prefix: str,
        open_schemas: frozenset[str],
        catalog: str,
        clock: Clock,
    ) -> None:
        self._read = read
        self._prefix = prefix
        self._open_schemas = open_schemas
        self._catalog = catalog
        self._clock = clock
        self._last: tuple[float, BoundPolicy, WarehouseFacts] | None = None

    async def require(self, role: NativeRole, policy: BoundPolicy) -> None:
        """Show that the warehouse enforces a role, by a look that is younger than the policy.

        Raises:
            AccessDenied: it does not, as far as its catalogs tell; the query door is named.
            Unavailable: the catalogs cannot be read.
        """
        ground = await self.ground(policy)
        found = (*failures(ground), *role_failures(role, ground))
        if found:
            told = "; ".join(f"{one.check}: {one.found}" for one in found[:_MOST_TOLD])
            log.error("a warehouse is not as the policy wants it", extra={"failures": len(found), "detail": told})
            raise sent_to_queries(told)

    async def ground(self, policy: BoundPolicy) -> Ground:
        """Give what a proof for a policy stands on. Raises Unavailable."""
        now = self._clock.monotonic()
        last = self._last
        if last is None or now - last[0] > FRESH_FOR.total_seconds() or not same_policy(policy, last[1]):
            last = self._last = (now, policy, await self._read())
        return Ground(
            facts=last[2],
            prefix=self._prefix,
            open_schemas=self._open_schemas,
            governed=governed_tables(policy, self._catalog),
        )


_MOST_TOLD: Final = 10


def governed_tables(policy: BoundPolicy, catalog: str) -> tuple[tuple[str, str], ...]:
    """Give all tables of a catalog as a warehouse names them."""
    names: Sequence[tuple[str, str, str]] = sorted(policy.tables)
    return tuple((database, table) for found, database, table in names if found == catalog)


def sent_to_queries(detail: str) -> AccessDenied:
    """Give the error of a login that would show more or less than the policy says."""
    return AccessDenied(
        Reason.NOT_PERMITTED,
        "this warehouse is not known to enforce what you may see, so that no login is given",
        hint="query instead: `penstock query`; or tell the operator, who runs `penstock-server sync redshift`",
        metadata=(("door", "query"),),
        detail=detail,
    )

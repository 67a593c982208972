"""What is created in the account: the same list for every form of template."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.cli.aws_setup import documents
from penstock_server.cli.aws_setup.documents import Document
from penstock_server.cli.aws_setup.wanted import SetUp

LONGEST_SESSION_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The managed policy that is the targets' boundary. After its creation Penstock writes it, and no template."""

    name: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role with one inline policy. `after_broker` = its trust names the broker, which must exist before."""

    what: str
    name: str
    says: str
    trust: Document
    permissions: Document
    bounded: bool
    after_broker: bool


def resources(setup: SetUp) -> tuple[Boundary, tuple[Role, ...]]:
    """Give the boundary and the roles, in the order in which they can be created.

    Where the broker lives in another account, only the target role is made here.
    """
    made = Boundary(name=setup.name("boundary"), document=documents.boundary())
    own = setup.foreign_broker is None
    target = Role(
        what="lake",
        name=setup.name("lake"),
        says="Penstock: what sessions are made from; powerless without a lease",
        trust=documents.target_trust(setup),
        permissions=documents.target_permissions(setup),
        bounded=True,
        after_broker=own,
    )
    if not own:
        return made, (target,)
    broker = Role(
        what="broker",
        name=setup.name("broker"),
        says="Penstock: what the service runs as",
        trust=documents.broker_trust(setup),
        permissions=documents.broker_permissions(setup),
        bounded=False,
        after_broker=False,
    )
    inner = (
        _inner(setup, "query", "reads the files of catalogs", documents.query_permissions(setup)),
        _inner(setup, "revoker", "writes the boundary and nothing else", documents.revoker_permissions(setup)),
    )
    return made, (broker, target, *inner)


def _inner(setup: SetUp, what: str, says: str, permissions: Document) -> Role:
    return Role(
        what=what,
        name=setup.name(what),
        says=f"Penstock: {says}",
        trust=documents.inner_trust(setup),
        permissions=permissions,
        bounded=False,
        after_broker=True,
    )

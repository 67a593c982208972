"""What the bound policy shows a principal of whom only a name or a group is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from penstock_server.importers.outcome import PolicyFile, View
from penstock_server.importers.row_forms import ALL_ROWS, NO_ROWS, Rows, rows_of
from penstock_server.model.decision import TableDecision, TableDescribed
from penstock_server.model.principal import (
    EveryoneOf,
    Group,
    KnownIssuers,
    Principal,
    PrincipalSelector,
    UserByName,
    UserBySubject,
)
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.model.schema import CatalogSnapshot, cells_of
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load

_LIFETIME: Final = timedelta(hours=1)


def bound(files: Iterable[PolicyFile], snapshot: CatalogSnapshot, issuers: KnownIssuers) -> BoundPolicy:
    """Load and bind the text of policy files exactly as a server would.

    Raises:
        ConfigurationError: it does not load or bind: a defect of the import, not of its input.
    """
    with TemporaryDirectory(prefix="penstock-import-") as name:
        folder = Path(name)
        for file in files:
            (folder / file.name).write_bytes(file.text.encode())
        return bind(load((folder,), issuers), snapshot, logins=frozenset())


def witness(selectors: Iterable[PrincipalSelector], *, at: datetime) -> Principal | None:
    """Give a principal whom exactly these selectors name, beside those of everyone; None where nobody can be such."""
    issuers: set[str] = set()
    usernames: set[str] = set()
    subjects: set[str] = set()
    groups: set[Group] = set()
    for selector in selectors:
        issuers.add(selector.issuer)
        match selector:
            case UserByName(username=username):
                usernames.add(username)
            case UserBySubject(subject=subject):
                subjects.add(subject)
            case Group():
                groups.add(selector)
            case EveryoneOf():
                pass
    if len(issuers) != 1 or len(usernames) > 1 or len(subjects) > 1:
        return None
    return Principal(
        issuer=issuers.pop(),
        # A control character: no policy can name it.
        subject=subjects.pop() if subjects else "\0",
        username=usernames.pop() if usernames else None,
        groups=frozenset(groups),
        groups_complete=True,
        attributes=(),
        client_id=None,
        authentication_methods=(),
        issued_at=at,
        expires_at=at + _LIFETIME,
    )


def view(policy: BoundPolicy, principal: Principal, table: TableName, *, at: datetime) -> View:
    """Give what a decision shows, in the form in which it is compared."""
    outcome = decide(policy, principal, table, facts=RequestFacts.of_instant(at))
    if isinstance(outcome, TableDescribed):
        return View(columns=(), rows=NO_ROWS, described=True)
    if not isinstance(outcome, TableDecision):
        return View(columns=(), rows=NO_ROWS, described=False)
    columns = tuple(
        # An import writes no masks, so a column, or a field, has one case.
        (cell.name, rows_of(governed.cases[0].when))
        for governed in outcome.table.parts()
        for cell in cells_of(governed.column)
    )
    return View(columns=columns, rows=_all_of([rows_of(rows) for rows in outcome.table.rows]), described=True)


def _all_of(layers: list[Rows]) -> Rows:
    if not layers:
        return ALL_ROWS
    return layers[0] if len(layers) == 1 else frozenset({("all", frozenset(layers))})

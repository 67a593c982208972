"""The caller as variables: issuer, username, subject, and whether they are in each group.

One question over them is a question over all principals, known or not; no directory is needed. A principal whose issuer
no selector names is named by none, so there is no such region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_server.model.principal import EveryoneOf, Group, PrincipalSelector, UserByName, UserBySubject
from penstock_server.policy.proof.formulas import Formulas, Node, Variable
from penstock_server.policy.proof.search import Model

_OTHER: Final = 1
"""The region of every name that no selector has."""
_OUT: Final = 1
_IN: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Somebody:
    """Principals alike: of one issuer, in exactly these groups. None = a name that no selector has.

    `attributes` are the claims that a test of the caller's own values needs.
    """

    issuer: str
    username: str | None
    subject: str | None
    groups: tuple[Group, ...]
    attributes: tuple[tuple[str, tuple[str, ...]], ...]


class Callers:
    """Variables of the caller for all selectors of both versions; with `only` of that class of principals alone."""

    def __init__(
        self, formulas: Formulas, selectors: Iterable[PrincipalSelector], *, default_issuer: str, only: Somebody | None
    ) -> None:
        self._formulas = formulas
        self._only = only
        self.default_issuer = default_issuer
        found = frozenset(selectors)
        others = {selector.issuer for selector in found} - {default_issuer}
        self._issuers = (default_issuer, *sorted(others))
        self._usernames = tuple(sorted({one.username for one in found if isinstance(one, UserByName)}))
        self._subjects = tuple(sorted({one.subject for one in found if isinstance(one, UserBySubject)}))
        all_issuers = (1 << len(self._issuers)) - 1
        self._issuer = formulas.variable(all_issuers if only is None else 1 << self._issuers.index(only.issuer))
        self._username = self._of_names(self._usernames, None if only is None else only.username)
        self._subject = self._of_names(self._subjects, None if only is None else only.subject)
        self._groups: dict[Group, Variable] = {}
        self._mentioned = tuple(sorted(one for one in found if isinstance(one, Group)))

    @property
    def usernames(self) -> tuple[str, ...]:
        """All usernames that a selector has."""
        return self._usernames

    def groups_of(self, issuer: str) -> tuple[Group, ...]:
        """Give all groups of an issuer that a selector has."""
        return tuple(group for group in self._mentioned if group.issuer == issuer)

    def username_is(self, username: str | None) -> Node:
        """Give "the caller has this username"; None = one that no selector has, or none."""
        region = _OTHER if username is None else 2 << self._usernames.index(username)
        return self._formulas.literal(self._username, region)

    def of_issuer(self, issuer: str) -> Node:
        """Give "the caller is of this issuer"."""
        return self._formulas.literal(self._issuer, 1 << self._issuers.index(issuer))

    def selected(self, selector: PrincipalSelector) -> Node:
        """Give "the selector names the caller"."""
        of_issuer = self.of_issuer(selector.issuer)
        match selector:
            case EveryoneOf():
                return of_issuer
            case UserByName(username=username):
                return self._formulas.conjunction((of_issuer, self.username_is(username)))
            case UserBySubject(subject=subject):
                region = 2 << self._subjects.index(subject)
                return self._formulas.conjunction((of_issuer, self._formulas.literal(self._subject, region)))
            case Group():
                # INVARIANT: a token gives groups of its own issuer alone (identity.groups).
                return self._formulas.conjunction((of_issuer, self._formulas.literal(self._group(selector), _IN)))

    def selected_by_any(self, selectors: Iterable[PrincipalSelector]) -> Node:
        """Give "one of the selectors names the caller"."""
        return self._formulas.disjunction([self.selected(selector) for selector in selectors])

    def somebody(self, model: Model) -> Somebody:
        """Give the plainest principal of a model: in as few groups and with as few names as it allows."""
        issuer = self._issuers[_lowest(self._regions(model, self._issuer))]
        username = _lowest(self._regions(model, self._username))
        subject = _lowest(self._regions(model, self._subject))
        members = [group for group, variable in self._groups.items() if not self._regions(model, variable) & _OUT]
        return Somebody(
            issuer=issuer,
            username=self._usernames[username - 1] if username else None,
            subject=self._subjects[subject - 1] if subject else None,
            groups=tuple(sorted(group for group in members if group.issuer == issuer)),
            attributes=(),
        )

    def _regions(self, model: Model, variable: Variable) -> int:
        return model.get(variable, self._formulas.full[variable])

    def _group(self, group: Group) -> Variable:
        variable = self._groups.get(group)
        if variable is None:
            regions = _OUT | _IN if self._only is None else _IN if group in self._only.groups else _OUT
            variable = self._groups[group] = self._formulas.variable(regions)
        return variable

    def _of_names(self, names: tuple[str, ...], only: str | None) -> Variable:
        """Add a variable: a region of all other names, then one for each name."""
        if self._only is None:
            return self._formulas.variable((2 << len(names)) - 1)
        return self._formulas.variable(2 << names.index(only) if only in names else _OTHER)


def _lowest(regions: int) -> int:
    return (regions & -regions).bit_length() - 1

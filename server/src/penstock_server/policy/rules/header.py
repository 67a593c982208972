"""The first line of a rules dataset: where the identities stand, which fields are restricted, what is a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from penstock_server.model.resource import fold
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.rules.form import RowError, RulesFormat, shortened

USER_NAME: Final = "UserName"
GROUP_NAME: Final = "GroupName"
USER_ARN: Final = "UserARN"
GROUP_ARN: Final = "GroupARN"
NOTE_PREFIX: Final = "note:"
"""Begins the names of columns that are comments, where `note_columns` says so."""

_NAMES: Final = (USER_NAME, GROUP_NAME)
_ARNS: Final = (USER_ARN, GROUP_ARN)
_IDENTITIES: Final = (*_NAMES, *_ARNS)
# AWS: the name may hold slashes (`role/session` of a federated user); a namespace is of letters, digits and `._-`.
_ARN: Final = re.compile(
    r"arn:(?P<pool>aws[a-z-]*:quicksight:[a-z]{2}[a-z0-9-]*:[0-9]{12}:)(?P<kind>user|group)/"
    r"(?P<namespace>[A-Za-z0-9._-]{1,64})/(?P<name>.+)",
    re.ASCII | re.DOTALL,
)


class Header:
    """The columns of a rules dataset, by their position.

    `user` and `group` are where identities stand, `by_arn` as ARNs; `fields` are the restricted fields, with `families`
    and `field_indexes` in the same order.
    """

    def __init__(self, names: tuple[str, ...], form: RulesFormat) -> None:
        _check_names(names)
        self.names = names
        self.by_arn = any(name in names for name in _ARNS)
        if self.by_arn and any(name in names for name in _NAMES):
            raise RowError(f"has columns for names and for ARNs; keep `{USER_ARN}` and `{GROUP_ARN}`, or the other two")
        self.user_name, self.group_name = _ARNS if self.by_arn else _NAMES
        self.user = names.index(self.user_name) if self.user_name in names else None
        self.group = names.index(self.group_name) if self.group_name in names else None
        if self.user is None and self.group is None:
            raise RowError(f"has neither a column `{USER_NAME}` nor `{GROUP_NAME}`; without one it says nothing")
        self.field_indexes = tuple(_field_indexes(names, form))
        self.fields = tuple(names[index] for index in self.field_indexes)
        for name in form.types:
            if name not in self.fields:
                raise RowError(f"has no field `{shortened(name)}`, which `types` speaks of; correct `types`")
        self.families = tuple(form.types.get(name, TypeFamily.TEXT) for name in self.fields)


def _check_names(names: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name:
            raise RowError("a column has no name; name every column in the first line")
        for special in _IDENTITIES:
            if fold(name) == fold(special) and name != special:
                raise RowError(f"the column `{shortened(name)}` is written `{special}`; names are case-sensitive")
        if fold(name) in seen:
            raise RowError(
                f"the columns `{shortened(seen[fold(name)])}` and `{shortened(name)}` are the same; remove one"
            )
        seen[fold(name)] = name


def _field_indexes(names: tuple[str, ...], form: RulesFormat) -> Iterator[int]:
    for index, name in enumerate(names):
        if fold(name).startswith(NOTE_PREFIX):
            if not form.note_columns or not name.startswith(NOTE_PREFIX):
                raise RowError(
                    f"the column `{shortened(name)}` is a comment only where the entry says `note_columns: true`, and "
                    f"is then written `{NOTE_PREFIX}...`; remove it, or allow it"
                )
        elif name not in _IDENTITIES:
            yield index


class ArnNames:
    """Takes the names out of QuickSight's ARNs: what `UserName` or `GroupName` would hold for the same person.

    SECURITY: one dataset is of one account and one namespace: people of two directories may have one name.
    """

    def __init__(self) -> None:
        self._pool: tuple[str, str] | None = None

    def name(self, arn: str, kind: str) -> str:
        """Give the name that an ARN of a user or group holds.

        Raises:
            RowError: it is none, or of another account, region or namespace than those before it.
        """
        match = _ARN.fullmatch(arn)
        if match is None or match["kind"] != kind:
            what = f"is not the ARN of a {kind}; write `arn:aws:quicksight:REGION:ACCOUNT:{kind}/NAMESPACE/NAME`"
            raise RowError(f"`{shortened(arn)}` {what}", told=f"a value {what}")
        pool = (match["pool"], match["namespace"])
        if self._pool is None:
            self._pool = pool
        if pool != self._pool:
            what = "is of another account, region or namespace than those before it; keep one directory in a dataset"
            raise RowError(f"`{shortened(arn)}` {what}", told=f"an ARN {what}")
        return match["name"]

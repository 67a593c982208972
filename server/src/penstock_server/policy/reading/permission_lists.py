"""Reads lists of permissions of a policy file."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, TypeVar

from penstock_server.model.resource import S3Permission
from penstock_server.policy.problems import NOT_AVAILABLE, Problems
from penstock_server.policy.reading.fields import Fields

_IAM_ACTION: Final = re.compile(r"[a-z0-9-]+:[A-Za-z*?]+", re.ASCII)

P = TypeVar("P", bound=StrEnum)


class RedshiftPermission(StrEnum):
    """What there is to give on a Redshift login."""

    CONNECT = "CONNECT"


def read_permissions(fields: Fields, kind: type[P], problems: Problems) -> frozenset[P] | None:
    """Read `permissions`; None where one of them is wrong."""
    texts = fields.texts("permissions")
    if texts is None:
        return None
    found: set[P] = set()
    for text in texts:
        try:
            found.add(kind(text.value))
        except ValueError:
            known = ", ".join(permission.value for permission in kind)
            if kind is S3Permission and _IAM_ACTION.fullmatch(text.value):
                problems.add(text.place, f"`{text.value}`: IAM actions are {NOT_AVAILABLE}; write {known}")
            else:
                problems.add(text.place, f"`{text.value}` is no permission here; write {known}")
    return frozenset(found) if len(found) == len(texts) else None

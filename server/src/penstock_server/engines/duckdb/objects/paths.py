"""How statements of a reader name an object: `objects://BUCKET/KEY`, never an address that the engine could dial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from penstock_server.model.objects import StoredObject

PROTOCOL: Final = "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPath:
    """An object as a reader knows it: the path that statements name it by, and its size in bytes."""

    path: str
    size: int


def path_of(stored: StoredObject) -> str:
    """Give the path of an object."""
    return f"{PROTOCOL}://{stored.bucket}/{stored.key}"


def parts_of(stored: StoredObject) -> PurePosixPath:
    """Give the key as a path of folders.

    Raises:
        ValueError: an empty part, `.` or `..`: what looks like one place would be another one.
    """
    if any(part in {"", ".", ".."} for part in stored.key.split("/")):
        raise ValueError("a key has an empty part, `.` or `..`; rename the object")
    return PurePosixPath("/", stored.bucket, stored.key)

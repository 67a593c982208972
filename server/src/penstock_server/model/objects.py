"""Objects of a store such as S3, as far as a source of tables is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.resource import S3Location


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object as a listing tells it. `etag` is the store's own text, quotes included: it changes with the bytes."""

    bucket: str
    key: str
    size: int
    etag: str

    def below(self, root: S3Location) -> bool:
        """Tell whether it lies in a folder, or is that very object; on raw bytes, as S3 compares keys."""
        if self.bucket != root.bucket:
            return False
        folder = root.key if not root.key or root.key.endswith("/") else f"{root.key}/"
        return self.key == root.key or self.key.startswith(folder)


class ObjectFault(Exception):
    """A store did not give what was asked; the text names the fault for the operator and holds no byte of an object."""

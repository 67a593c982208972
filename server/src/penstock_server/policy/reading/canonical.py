"""The version of a policy: a hash of what its files say, whatever their order, layout and comments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import assert_never

from penstock_server.config.document import ListNode, MapNode, Node, ScalarNode
from penstock_server.model.decision import PolicyVersion


def policy_version(entries: Iterable[tuple[str, Node]], datasets: Iterable[bytes]) -> PolicyVersion:
    """Give the version of a policy.

    `entries` are the entries of all files with the path of each (`grants`, `masks.redact`); `datasets` are the bytes
    of the rules datasets that they name, each with the name of its entry before it.
    """
    lines = [hash_parts(b"entry", path.encode(), canonical(node)) for path, node in entries]
    lines += [hash_parts(b"dataset", raw) for raw in datasets]
    return PolicyVersion(hash_parts(b"penstock policy 1", *sorted(lines)).hex())


def canonical(node: Node) -> bytes:
    """Give bytes that are equal for nodes that say the same; the order of keys does not matter, that of lists does."""
    match node:
        case ScalarNode():
            kind = type(node.value).__name__
            return hash_parts(b"scalar", kind.encode(), str(node.value).encode("utf-8", "surrogatepass"))
        case ListNode():
            return hash_parts(b"list", *(canonical(item) for item in node.items))
        case MapNode():
            pairs = (
                hash_parts(entry.key.encode("utf-8", "surrogatepass"), canonical(entry.node)) for entry in node.entries
            )
            return hash_parts(b"map", *sorted(pairs))
        case _:
            assert_never(node)


def hash_parts(*parts: bytes) -> bytes:
    """Give SHA-256 over the parts, each with its length before it: no two lists of parts give the same input."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()

"""Where policy files come from: the disk, or texts that somebody gave.

INVARIANT: one load reads each file once, and a digest tells exactly what it read.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from penstock_server.config.document import Place, contents, decoded
from penstock_server.errors import ConfigurationError
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.canonical import hash_parts
from penstock_server.policy.reading.folders import MAX_RULES_BYTES, is_policy_name, policy_files, read_rules_file

_CHUNK_BYTES: Final = 1024 * 1024
_SETTLED_NANOSECONDS: Final = 2_000_000_000


class PolicyFiles(Protocol):
    """What a policy is read from."""

    def names(self, problems: Problems) -> tuple[Path, ...]:
        """Give the policy files, each once."""
        ...

    def text(self, path: Path) -> str:
        """Read a policy file. Raises ConfigurationError."""
        ...

    def rules(self, path: Path, place: Place, problems: Problems) -> bytes | None:
        """Read a rules dataset; `place` is where the policy names it. None where that is a problem, which is noted."""
        ...


class DiskFiles:
    """Files and folders of this machine, for one load."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        self._read: dict[Path, bytes] = {}
        self._rules: set[Path] = set()
        self._listing: tuple[str, ...] = ()

    def names(self, problems: Problems) -> tuple[Path, ...]:
        """Give the policy files of the paths."""
        self._listing, found = _listed(self._paths)
        policy_files(self._paths, problems)
        return found

    def text(self, path: Path) -> str:
        """Read a policy file. Raises ConfigurationError."""
        try:
            text = contents(path)
        except ConfigurationError:
            self._read[path] = _digest_of(path)
            raise
        self._read[path] = hashlib.sha256(text.encode()).digest()
        return text

    def rules(self, path: Path, place: Place, problems: Problems) -> bytes | None:
        """Read a rules dataset."""
        raw = read_rules_file(path, place, problems)
        self._rules.add(path)
        self._read[path] = _digest_of(path) if raw is None else hashlib.sha256(raw).digest()
        return raw

    @property
    def rules_files(self) -> frozenset[Path]:
        """The rules datasets that were named, whether they could be read or not."""
        return frozenset(self._rules)

    def digest(self) -> bytes:
        """Give a digest of all that was listed and read."""
        return _state(self._listing, self._read)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hashed:
    stamp: tuple[int, ...]
    digest: bytes
    settled: bool


class DiskDigests:
    """Tells what the files of some paths hold now, and reads only what may have changed since it was asked before."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        self._known: dict[Path, _Hashed] = {}

    def digest(self, rules_files: Iterable[Path]) -> bytes:
        """Give what `DiskFiles.digest` gives after a load that reads the same. Blocks."""
        listing, found = _listed(self._paths)
        read = {path: self._digest_of(path) for path in (*found, *rules_files)}
        self._known = {path: known for path, known in self._known.items() if path in read}
        return _state(listing, read)

    def _digest_of(self, path: Path) -> bytes:
        try:
            status = path.stat()
        except (OSError, ValueError):
            self._known.pop(path, None)
            return _digest_of(path)
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(path)
        if known is not None and known.stamp == stamp and known.settled:
            return known.digest
        # A file that was changed a moment ago may change again without another stamp: clocks of file systems tick.
        settled = time.time_ns() - max(stamp[3:]) > _SETTLED_NANOSECONDS
        found = _digest_of(path)
        self._known[path] = _Hashed(stamp=stamp, digest=found, settled=settled)
        return found


class GivenFiles:
    """Files that somebody gave, by relative names with `/`; nothing is ever looked for on this machine.

    SECURITY: a name is a key of a table and no path: whoever sends a policy cannot make the server read a file of its
    own (test_no_name_in_a_request_reads_a_file_of_the_server).
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def names(self, problems: Problems) -> tuple[Path, ...]:
        """Give the policy files among them."""
        found = tuple(Path(name) for name in sorted(self._files) if is_policy_name(name))
        if not found:
            problems.add(Place(source="the files", line=0, column=1), "hold no policy; one ends in `.yaml` or `.yml`")
        return found

    def text(self, path: Path) -> str:
        """Give a policy file. Raises ConfigurationError."""
        return decoded(self._files[str(path)], path)

    def rules(self, path: Path, place: Place, problems: Problems) -> bytes | None:
        """Give a rules dataset."""
        raw = self._files.get(posixpath.normpath(str(path)))
        if raw is None:
            problems.add(place, f"`{path}` is not among the files that were sent; send it along")
        return raw


def _listed(paths: tuple[Path, ...]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Give what stands for a listing, problems of it too, and the policy files."""
    problems = Problems()
    found = policy_files(paths, problems)
    return (*(str(path) for path in found), "", *problems.lines()), found


def _state(listing: tuple[str, ...], read: Mapping[Path, bytes]) -> bytes:
    lines = (hash_parts(str(path).encode(errors="surrogateescape"), digest) for path, digest in read.items())
    return hash_parts(*(line.encode(errors="surrogateescape") for line in listing), b"", *sorted(lines))


def _digest_of(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b"no regular file"
        left = MAX_RULES_BYTES + 1
        with path.open("rb") as file:
            while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
                digest.update(chunk)
                left -= len(chunk)
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'errno', None)}".encode()
    return digest.digest()

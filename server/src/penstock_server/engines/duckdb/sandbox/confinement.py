"""All barriers, in the order in which they must stand.

What is left to a child when they stand:

| | sealed worker | source reader, inspector |
|---|---|---|
| files | none, but the control group's figures | reading the named files and folders, and those figures |
| sizes and times of paths | none | all that the user may see |
| sockets, network | the conversation that it was given | the same |
| processes, signals, executing | none | none |
| memory | its budget + 2 GiB of address space | the same |

A builder is a sealed worker that may also write to the memory file that it was given, up to a size. Landlock governs
paths, and such a file has none: whoever was given its descriptor may read it, and the seals say that nobody writes.

A reader of objects, and a planner of Iceberg tables, has no more than other readers: it holds one more socket, on which
the front brings ranges of the objects of its table. To reach a network it has neither calls nor credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from penstock_server.engines.duckdb.sandbox import kernel, landlock, privileges, seccomp
from penstock_server.engines.duckdb.sandbox.syscalls import Architecture

_ALWAYS_READABLE = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
# DuckDB: aborts at start (`dereference unique_ptr that is NULL`) where it may not read its control group (2.0.0).


class SandboxUnavailable(Exception):
    """This machine cannot put the barriers up; the text says which and what is needed."""


class Barrier(StrEnum):
    """One protection around a child."""

    NO_NEW_PRIVILEGES = "no_new_privs"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    CAPABILITIES = "capabilities dropped"
    RESOURCE_LIMITS = "resource limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """What protects this machine's children: for health, `check` and the log at start.

    `landlock_version` is that of the kernel's interface; signals and abstract sockets are in it from 6 on, and closed
    by seccomp everywhere.
    """

    active: tuple[Barrier, ...]
    landlock_version: int
    architecture: str


def active_barriers() -> Barriers:
    """Tell which barriers this machine can put up.

    Raises:
        SandboxUnavailable: not all of them; nothing may be served.
    """
    version = landlock.version()
    if version < 1:
        raise SandboxUnavailable(
            "the kernel offers no Landlock, without which a query could open files; use Linux 5.13 or newer with "
            "`landlock` in the `lsm=` list, and a container profile that permits its system calls"
        )
    machine = kernel.machine()
    if machine not in set(Architecture):
        raise SandboxUnavailable(f"no list of system calls for the processor architecture `{machine}`")
    return Barriers(active=tuple(Barrier), landlock_version=version, architecture=machine)


def confine(
    *,
    readable: Sequence[Path],
    memory_bytes: int,
    open_files: int,
    kept_capabilities: frozenset[int],
    may_query_paths: bool,
    may_write_descriptors: bool = False,
    file_bytes: int = 0,
) -> None:
    """Put all barriers around this process, which must have one thread and must have opened nothing.

    Raises:
        SandboxUnavailable: a barrier cannot stand; the process must end without serving.
    """
    try:
        _require_one_thread()
        privileges.limit_resources(memory_bytes=memory_bytes, open_files=open_files, file_bytes=file_bytes)
        privileges.forbid_new_privileges()
        privileges.drop_capabilities(kept_capabilities)
        landlock.restrict((*_ALWAYS_READABLE, *readable))
        privileges.hide_memory()
        seccomp.restrict(may_query_paths=may_query_paths, may_write_descriptors=may_write_descriptors)
    except (OSError, ValueError, KeyError) as error:
        raise SandboxUnavailable("a barrier could not be put up") from error


def narrow(readable: Sequence[Path]) -> None:
    """Narrow the file rights of a confined process to these paths, those before them being gone.

    INVARIANT: Landlock binds the calling thread, so another thread would keep the wider rights: one thread only.

    Raises:
        SandboxUnavailable: there is more than one thread, or the kernel refuses.
    """
    try:
        _require_one_thread()
        landlock.restrict((*_ALWAYS_READABLE, *readable))
    except OSError as error:
        raise SandboxUnavailable("a barrier could not be narrowed") from error


def _require_one_thread() -> None:
    if kernel.tasks() != 1:
        raise SandboxUnavailable("more than one thread before the barriers stand")

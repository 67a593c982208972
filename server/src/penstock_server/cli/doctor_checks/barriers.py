"""The barriers around the processes that hold data: whether this machine has them, and whether they hold when tried."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.cli.private_engine import private_engine
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.extracts.extract import SEALS
from penstock_server.engines.duckdb.sandbox import landlock
from penstock_server.engines.duckdb.sandbox.confinement import SandboxUnavailable, active_barriers
from penstock_server.errors import ConfigurationError, PenstockError

SUBJECT: Final = "barriers"
_SECCOMP_ACTIONS: Final = Path("/proc/sys/kernel/seccomp/actions_avail")
_USER_NAMESPACES: Final = Path("/proc/sys/user/max_user_namespaces")
_SCOPES: Final = 6
"""The version of Landlock's interface from which it closes signals and abstract sockets too."""

_CONTAINER: Final = "permit it in the container's profile (`--security-opt seccomp=...`), or use another kernel"


def findings() -> Iterator[Finding]:
    """Look at what the kernel offers."""
    yield _landlock()
    yield _seccomp()
    yield _no_new_privileges()
    yield _address_space()
    yield _seals()
    yield _user_namespaces()
    claim = "every barrier can be put up on this processor"
    try:
        known = active_barriers()
    except SandboxUnavailable as error:
        yield failed(SUBJECT, claim, str(error), fix="serve from another machine: nothing is served without them")
    else:
        yield ok(SUBJECT, claim, f"{known.architecture}: {', '.join(barrier.value for barrier in known.active)}")


async def proved(catalogs: tuple[CatalogSettings, ...]) -> list[Finding]:
    """Have a sealed process try everything that it must not be able to do, as the service does at its start."""
    claim = "a sealed process that tries to get out does not"
    try:
        async with private_engine(catalogs) as engine:
            held = await engine.prove_sealed()
            compared = await engine.prove_worlds_alike()
    except ConfigurationError as error:
        return [failed(SUBJECT, claim, problem, fix=_CONTAINER) for problem in error.problems]
    except PenstockError as error:
        told = f"{error.message}: {error.detail}"
        return [cannot_know(SUBJECT, claim, told, fix="see that this user may start processes, then ask again")]
    alike = "two worlds that differ in hidden cells alone are the same to a caller"
    return [
        ok(SUBJECT, claim, f"Landlock {held.landlock_version}, {len(held.active)} barriers tried"),
        ok(SUBJECT, alike, f"{compared} answers compared to the byte"),
    ]


def _landlock() -> Finding:
    claim = "Landlock closes the file system and the network"
    version = landlock.version()
    if version < 1:
        fix = "use Linux 5.13 or newer with `landlock` in its `lsm=` list; in a container, permit its system calls"
        return failed(SUBJECT, claim, "the kernel does not offer it", fix=fix)
    more = "" if version >= _SCOPES else "; signals and local sockets are closed by seccomp alone"
    return ok(SUBJECT, claim, f"interface {version}{more}")


def _seccomp() -> Finding:
    claim = "seccomp closes system calls"
    try:
        actions = _SECCOMP_ACTIONS.read_text(encoding="ascii").split()
    except OSError:
        return cannot_know(SUBJECT, claim, f"`{_SECCOMP_ACTIONS}` cannot be read", fix="see what the next lines tell")
    if "errno" in actions:
        return ok(SUBJECT, claim)
    return failed(SUBJECT, claim, "the kernel has no filters that answer with an error", fix=_CONTAINER)


def _no_new_privileges() -> Finding:
    claim = "no_new_privs can be set"
    try:
        known = any(line.startswith(b"NoNewPrivs:") for line in Path("/proc/self/status").read_bytes().splitlines())
    except OSError:
        return cannot_know(SUBJECT, claim, "`/proc/self/status` cannot be read", fix="mount /proc")
    return ok(SUBJECT, claim) if known else failed(SUBJECT, claim, "the kernel has it not", fix=_CONTAINER)


def _address_space() -> Finding:
    claim = "address space can be limited"
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY:
        return ok(SUBJECT, claim)
    fix = "raise or lift `ulimit -v`, so that each query gets the memory of `query.memory` + 2 GiB"
    return failed(SUBJECT, claim, f"this session is bound to {min(soft, hard) // 2**20} MiB already", fix=fix)


def _seals() -> Finding:
    claim = "memory files can be sealed"
    try:
        descriptor = os.memfd_create("penstock-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
        finally:
            os.close(descriptor)
    except OSError as error:
        return failed(SUBJECT, claim, str(error.strerror), fix=_CONTAINER)
    return ok(SUBJECT, claim) if sealed else failed(SUBJECT, claim, "the kernel forgets seals", fix=_CONTAINER)


def _user_namespaces() -> Finding:
    claim = "processes get no user namespace"
    try:
        allowed = int(_USER_NAMESPACES.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ok(SUBJECT, claim, "this kernel has none, and seccomp refuses them")
    return ok(SUBJECT, claim, "seccomp refuses them" if allowed else "this machine has switched them off")

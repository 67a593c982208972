"""The machine: its clock, its disks, and whether its memory holds what the configuration promises."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.config.machine import memory_bytes
from penstock_server.config.secrets import is_reference
from penstock_server.config.settings import Settings

SUBJECT: Final = "machine"
_MIB: Final = 2**20
_LEAST_FREE: Final = 1024 * _MIB
_FRONT_BYTES: Final = 512 * _MIB
"""What the front and the zygote need besides queries and extracts, generously."""

_TIME_ERROR: Final = 5
"""What the kernel answers where nothing keeps its clock in step. Source: Linux, adjtimex(2)."""


def findings(settings: Settings | None) -> Iterator[Finding]:
    """Look at the clock, and where the configuration can be read at disks and memory."""
    yield _clock()
    if settings is None:
        return
    yield _disk("audit", settings.audit_path)
    if not is_reference(settings.state_url):
        yield _disk("state", _state_folder(settings))
    yield _memory(settings)
    yield _descriptors(settings)


def _clock() -> Finding:
    claim = "the clock is kept in step"
    fix = "run chrony or systemd-timesyncd on the machine: tokens and credentials are judged by its clock"
    # Longer than any `struct timex`; all zero asks and changes nothing.
    told = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if told < 0:
        return cannot_know(SUBJECT, claim, "the kernel does not tell", fix=fix)
    if told == _TIME_ERROR:
        return cannot_know(SUBJECT, claim, "the kernel knows of nobody who does; a host may", fix=fix)
    return ok(SUBJECT, claim)


def _state_folder(settings: Settings) -> Path:
    return Path(settings.state_url.removeprefix("sqlite:///")).parent


def _disk(name: str, folder: Path) -> Finding:
    claim = f"the disk of {name} has room"
    existing = next(above for above in (folder, *folder.parents) if above.exists())
    free = shutil.disk_usage(existing).free
    seen = f"{free // _MIB} MiB free at {existing}"
    if free < _LEAST_FREE:
        fix = "make room: a service that cannot write its audit answers nothing"
        return failed(SUBJECT, claim, seen, fix=fix)
    return ok(SUBJECT, claim, seen)


def _memory(settings: Settings) -> Finding:
    claim = "the memory holds what the configuration promises"
    query = settings.query
    # A reader has twice a worker's; the extracts and the front stand beside them.
    promised = query.concurrency * query.memory_bytes + query.extract_bytes + _FRONT_BYTES
    there = memory_bytes()
    seen = f"{there // _MIB} MiB, and up to {promised // _MIB} MiB are promised"
    if query.memory_bytes + query.extract_bytes + _FRONT_BYTES > there:
        fix = "lower `query.memory` or `query.extracts.memory`, or give the container more memory"
        return failed(SUBJECT, claim, seen, fix=fix)
    if promised > there:
        fix = "lower `query.concurrency` or `query.memory`, unless few queries need that much"
        return cannot_know(SUBJECT, claim, f"{seen}, if all queries need all of theirs at once", fix=fix)
    return ok(SUBJECT, claim, seen)


def _descriptors(settings: Settings) -> Finding:
    claim = "enough files may be open"
    limit = os.sysconf("SC_OPEN_MAX")
    # Each statement: a conversation, a handle and pipes for a worker and two readers, and sixteen extracts at most.
    needed = 512 + 32 * settings.query.concurrency
    if limit < needed:
        return failed(SUBJECT, claim, f"{limit}, and {needed} may be needed", fix=f"`ulimit -n {needed}` or more")
    return ok(SUBJECT, claim, str(limit))

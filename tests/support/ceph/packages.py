"""The programs of Ceph, from pinned Debian packages, unpacked into `.cache/ceph` without root and without installing.

Fetched by `apt-get download` from the package sources that the machine is set up for. Everything that is missing is
said at once in `CannotRun`.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PINS = ROOT / "tests/ceph/packages.txt"
CACHE = ROOT / ".cache/ceph"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/ceph", "lib/x86_64-linux-gnu")
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")
SECONDS = 600


class CannotRun(Exception):
    """This machine cannot run Ceph; says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package as the index lists it."""

    name: str
    version: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceph:
    """Unpacked programs."""

    root: Path

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.root / "usr/bin" / name)

    def library(self, name: str) -> str:
        """The path of a library or of a folder of plug-ins."""
        return str(self.root / LIBRARIES[0] / name)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are started with, and nothing else."""
        return {
            "LD_LIBRARY_PATH": ":".join(str(self.root / each) for each in LIBRARIES),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }


def read_pins(path: Path = PINS) -> tuple[Pin, ...]:
    """The pinned packages."""
    lines = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return tuple(Pin(name=name, version=version, size=int(size), sha256=sha) for name, version, size, sha in lines)


def installed() -> Ceph:
    """Give the programs, fetched before where they are not there yet.

    Raises:
        CannotRun: the machine is of another kind, or a package cannot be had or is another than pinned.
    """
    _require_this_kind_of_machine()
    CACHE.mkdir(parents=True, exist_ok=True)
    pins = read_pins()
    digest = hashlib.sha256(repr(pins).encode()).hexdigest()[:16]
    ceph = Ceph(root=CACHE / digest)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two suites at one time fetch it once
        if not ceph.root.is_dir():
            _unpack(pins, ceph.root)
    _require_libraries(ceph)
    return ceph


def _require_this_kind_of_machine() -> None:
    missing = []
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        missing.append(f"Linux on x86_64 (this is {platform.system()} on {platform.machine()})")
    release = Path("/etc/os-release")
    if not release.is_file() or "VERSION_CODENAME=bookworm" not in release.read_text():
        missing.append("Debian 12 (the packages are built against its libraries)")
    missing += [f"the program `{name}`" for name in ("apt-get", "dpkg-deb", "ldd", "setpriv") if not shutil.which(name)]
    if missing:
        raise CannotRun("the suite for Ceph needs " + "; ".join(missing))


def _unpack(pins: Sequence[Pin], root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        (folder / "debs").mkdir()
        _fetch(pins, folder)
        for pin in pins:
            _run(["dpkg-deb", "--extract", str(_checked(pin, folder / "debs")), str(folder / "root")])
        (folder / "root").rename(root)


def _fetch(pins: Sequence[Pin], folder: Path) -> None:
    # An index of our own: the machine's may be absent or old, and renewing that one takes root.
    (folder / "state/lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    own = ["-q", "-o", f"Dir::State::lists={folder}/state/lists", "-o", f"Dir::Cache={folder}/cache"]
    own += ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "-o", "Debug::NoLocking=true"]
    _run(["apt-get", *own, "-o", "APT::Update::Error-Mode=any", "update"])
    wanted = [f"{pin.name}={pin.version}" for pin in pins]
    _run(["apt-get", *own, "download", *wanted], folder=folder / "debs")


def _checked(pin: Pin, folder: Path) -> Path:
    (found,) = folder.glob(f"{pin.name}_*.deb")
    content = found.read_bytes()
    if len(content) != pin.size or hashlib.sha256(content).hexdigest() != pin.sha256:
        raise CannotRun(f"`{found.name}` is not the file that tests/ceph/packages.txt pins; nothing of it was unpacked")
    return found


def _run(command: Sequence[str], *, folder: Path | None = None) -> None:
    ran = subprocess.run(command, cwd=folder, check=False, timeout=SECONDS, capture_output=True, text=True)
    if ran.returncode:
        last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-12:])
        raise CannotRun(
            f"`{command[0]} {command[-1] if 'update' in command else '...'}` failed: the suite for Ceph needs a package"
            f" index of Debian 12 that has the versions in tests/ceph/packages.txt. It said:\n{last}"
        )


def _require_libraries(ceph: Ceph) -> None:
    missing: set[str] = set()
    for name in PROGRAMS:
        command = ["ldd", ceph.program(name)]
        ran = subprocess.run(
            command, check=False, timeout=SECONDS, capture_output=True, text=True, env=ceph.environment
        )
        missing |= {line.split()[0] for line in ran.stdout.splitlines() if line.endswith("not found")}
    if missing:
        raise CannotRun(f"Ceph needs shared libraries that this machine lacks: {', '.join(sorted(missing))}")

"""Profiles in `~/.aws/config` that get their credentials from `penstock creds aws`.

Only the lines that were written here are ever changed or removed; everything else stays byte for byte.

SECURITY: AWS's SDKs run `credential_process` as a command, some of them by a shell. Each argument is quoted for one,
and what no quoting carries through every reader of the file (line breaks, control characters, what begins a comment)
is refused (tests/unit/delivery/test_aws_configuration.py).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.errors import PenstockError, invalid

_MARK: Final = b"# Written by `penstock configure`, which replaces and removes these lines."
_OURS: Final = re.compile(rb"(credential_process|region)[ \t]*=")
_SECTION: Final = re.compile(rb"[ \t]*\[(?P<name>[^\]\r\n]*)\]")
_NAME: Final = re.compile(r"[A-Za-z0-9._@+-]{1,64}", re.ASCII)
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_COMMENT: Final = re.compile(r"(^|\s)[#;]")
_MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsProfile:
    """A profile to write: its name, the command's words, and a region ("" for none)."""

    name: str
    command: tuple[str, ...]
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the lines of a profile stand: ours from `start` to `end`; `last` ends the whole section."""

    start: int
    end: int
    last: int


def path(environment: Mapping[str, str]) -> Path:
    """Give where the file is: AWS_CONFIG_FILE, by default `~/.aws/config`."""
    named = environment.get("AWS_CONFIG_FILE")
    return Path(named).expanduser() if named else Path.home() / ".aws" / "config"


def with_profile(content: bytes, profile: AwsProfile) -> bytes:
    """Give the file's bytes with a profile: new at the end, or in place of the lines that were written before.

    Raises:
        InvalidRequest: the profile has a name or an argument that cannot be written, or stands there already, written
            by somebody else.
    """
    block = _block(profile)
    place = _place(content, profile.name)
    if place is not None:
        return content[: place.start] + block + content[place.end :]
    gap = b"" if not content else b"\n" if content.endswith(b"\n") else b"\n\n"
    return content + gap + block


def without_profile(content: bytes, name: str) -> bytes:
    """Give the file's bytes without a profile; unchanged where there is none.

    Raises:
        InvalidRequest: the profile was written by somebody else, or has got other settings since.
    """
    place = _place(content, _checked_name(name))
    if place is None:
        return content
    if any(not _says_nothing(line) for line in content[place.end : place.last].splitlines()):
        # Without its heading they would become settings of the section before.
        raise invalid("--remove", f"the profile `{name}` has got other settings; remove it by hand")
    start = place.start
    if content[:start].endswith(b"\n\n"):
        start -= 1
    return content[:start] + content[place.end :]


def rewrite(file: Path, *, profile: AwsProfile | None, remove: str = "") -> bool:
    """Write a profile, or remove the one of a name, in a file; tell whether the file has changed.

    The file is replaced as a whole, with mode 0600; one process at a time. A link is followed, since people keep such
    files elsewhere; a file of somebody else is not touched.

    Raises:
        InvalidRequest: as `with_profile` and `without_profile`.
        PenstockError: the file is none that this user may write.
    """
    target = file.resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(target.parent):
        content = _content(target)
        changed = without_profile(content, remove) if profile is None else with_profile(content, profile)
        if changed == content:
            return False
        _replace(target, changed)
        return True


def _says_nothing(line: bytes) -> bool:
    text = line.strip()
    return not text or text.startswith((b"#", b";"))


def _block(profile: AwsProfile) -> bytes:
    name = _checked_name(profile.name)
    heading = "[default]" if name == "default" else f"[profile {name}]"
    lines = [heading.encode("ascii"), _MARK, f"credential_process = {_command(profile.command)}".encode()]
    if profile.region:
        if not _REGION.fullmatch(profile.region):
            raise invalid("region", "is a name such as `eu-west-1`")
        lines.append(f"region = {profile.region}".encode("ascii"))
    return b"\n".join(lines) + b"\n"


def _command(words: Sequence[str]) -> str:
    for word in words:
        if any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in word):
            raise invalid("configure", "an argument has a line break, or a character that no file of AWS can hold")
        if _COMMENT.search(word):
            raise invalid("configure", "an argument has `#` or `;` where readers of the file see a comment")
    return shlex.join(words)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid("NAME", "is a name of 1 to 64 letters, digits and . _ @ + -")
    return name


def _place(content: bytes, name: str) -> _Place | None:
    lines = content.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    headings = [index for index, line in enumerate(lines) if _SECTION.match(line)]
    found = [index for index in headings if _names(lines[index], name)]
    if not found:
        return None
    first = found[0]
    if len(found) > 1 or first + 1 >= len(lines) or lines[first + 1].rstrip(b"\r\n") != _MARK:
        raise invalid(
            "NAME",
            f"the file has a profile `{name}` that was not written by this command",
            hint="choose another name, or remove that profile by hand",
        )
    end = first + 2
    while end < len(lines) and _OURS.match(lines[end]):
        end += 1
    last = next((index for index in headings if index > first), len(lines))
    return _Place(start=starts[first], end=starts[end], last=starts[last])


def _names(line: bytes, name: str) -> bool:
    """Tell whether a heading is that of the profile, as any of AWS's readers might take it."""
    matched = _SECTION.match(line)
    words = matched["name"].decode("utf-8", "replace").replace('"', " ").replace("'", " ").split() if matched else []
    return words == ["profile", name] or (name == "default" and words == ["default"])


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(target: Path) -> bytes:
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
        os.close(descriptor)
        raise PenstockError(f"`{target}` is no file of yours, and is not written", reason="FILE")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise PenstockError(f"`{target}` is too long to be a configuration of AWS", reason="FILE")
    return content


def _replace(target: Path, content: bytes) -> None:
    draft = target.parent / f".penstock-{secrets.token_hex(8)}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise

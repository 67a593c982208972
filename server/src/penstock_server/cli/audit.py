"""`penstock-server audit`: show the trail, and prove that it is whole."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from penstock_server.audit.following import entries_of
from penstock_server.audit.verification import verify as verify_trail
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.errors import ConfigurationError
from penstock_server.model.audit import AuditCheckpoint, AuditEntry, Outcome
from penstock_server.model.clock import SystemClock

_STYLES = {Outcome.ALLOWED: "green", Outcome.REFUSED: "yellow", Outcome.FAILED: "red"}

PathOption = Annotated[
    Path | None,
    typer.Option("--path", help="The folder of the trail, instead of the one of --config.", metavar="FOLDER"),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer(no_args_is_help=True, help="Show the audit trail, and prove that it is whole.")
    audit.command("show")(show)
    audit.command("verify")(verify)
    app.add_typer(audit, name="audit")


def show(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    path: PathOption = None,
    last: Annotated[int, typer.Option(help="How many records; 0 = all.", min=0, metavar="N")] = 20,
    event: Annotated[str | None, typer.Option(help="Only events that begin so, such as `query`.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this username.")] = None,
    request_id: Annotated[str | None, typer.Option(help="Only this call.")] = None,
    details: Annotated[bool, typer.Option("--details", help="With SQL, fingerprints and session policies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they stand in the files.")] = False,
) -> None:
    """Show records, oldest first; reads the files, whether or not the service runs."""
    folder = _folder(config, path)
    wanted = (
        (entry, line)
        for entry, line in _entries(folder)
        if (event is None or entry.record.event.value.startswith(event))
        and (user is None or entry.record.username == user)
        and (request_id is None or entry.record.request_id == request_id)
    )
    terminal = Terminal()
    for entry, line in deque(wanted, maxlen=last) if last else wanted:
        if as_json:
            terminal.raw(line.decode("ascii").rstrip("\n"))
        else:
            _print_entry(terminal, entry, details=details)


def verify(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    path: PathOption = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A checkpoint that was kept elsewhere; the trail must hold it.", metavar="SEQUENCE:DIGEST"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Verify every record and every link: exit code 0 if the trail is whole, 1 if not."""
    folder = _folder(config, path)
    known = None if checkpoint is None else _checkpoint(checkpoint)
    try:
        result = verify_trail(folder, checkpoint=known)
    except OSError as error:
        raise ConfigurationError((f"{folder}: cannot be read: {error.strerror}",)) from error
    terminal = Terminal()
    if as_json:
        verdict = {
            "ok": result.ok,
            "records": result.entries,
            "digest": result.digest,
            "unfinished_bytes": result.unfinished_bytes,
            "broken": result.broken,
        }
        terminal.raw(json.dumps(verdict))
    elif result.ok:
        terminal.say_parts([("whole", "green"), (f"  {result.entries} records, checkpoint ", "")])
        terminal.say(f"  {result.entries}:{result.digest}")
        if result.unfinished_bytes:
            terminal.say(f"  {result.unfinished_bytes} bytes follow that are being written, or were torn by a crash")
    else:
        terminal.say_parts([("broken", "red"), (f"  {result.broken}", "")])
        terminal.say(f"  {result.entries} records before it are whole")
    raise typer.Exit(0 if result.ok else 1)


def _folder(config: Path, path: Path | None) -> Path:
    folder = load(config, environ=os.environ).audit_path if path is None else path
    if not folder.is_dir():
        raise ConfigurationError((f"{folder}: there is no audit trail here",))
    return folder


def _entries(folder: Path) -> Iterator[tuple[AuditEntry, bytes]]:
    try:
        yield from entries_of(folder)
    except OSError as error:
        raise ConfigurationError((f"{folder}: cannot be read: {error.strerror}",)) from error
    except ValueError as error:
        raise ConfigurationError((f"{error}; run `penstock-server audit verify`",)) from error


def _print_entry(terminal: Terminal, entry: AuditEntry, *, details: bool) -> None:
    record = entry.record
    who = record.username or record.subject or "-"
    terminal.say_parts(
        [
            (f"{entry.sequence:>6}  {record.occurred_at:%Y-%m-%d %H:%M:%S}  ", "dim"),
            (f"{record.outcome.value:<8}", _STYLES[record.outcome]),
            (f"{record.event.value:<23}", ""),
            (f"{who:<14}", "bold"),
            (" ".join(record.resources), ""),
            (f"  {record.reason}" if record.reason else "", "yellow"),
        ]
    )
    if details:
        more = (("request", record.request_id), ("policy", record.policy_version or ""), *record.details)
        for name, text in more:
            if text:
                terminal.say_parts([(f"        {name}: ", "dim"), (text, "")])


def _checkpoint(text: str) -> AuditCheckpoint:
    sequence, _, digest = text.partition(":")
    if not (sequence.isascii() and sequence.isdigit()) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise typer.BadParameter("write SEQUENCE:DIGEST, as `audit verify` prints it", param_hint="--checkpoint")
    return AuditCheckpoint(sequence=int(sequence), digest=digest, occurred_at=SystemClock().now())

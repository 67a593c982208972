"""Two people ask one question and get two answers.

Starts Penstock with an OpenID provider and a stand-in for AWS on this machine, signs in alice (an analyst) and bob (an
operations lead), and prints what each of them sees. Run it with `make demo`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import penstock
import people
import scenes
import stage
from penstock_server.dev.environment import FREE_PORTS, LocalEnvironment
from penstock_server.errors import ConfigurationError
from rich.console import Console, RenderableType


def main(folder: Path) -> int:
    """Play all scenes in `folder`; gives the exit code."""
    started = time.monotonic()
    # Wide enough for two answers beside each other where the output is a file or a pipe.
    console = Console() if sys.stdout.isatty() else Console(width=150)
    play = stage.Stage(console)
    play.title("Penstock: two people ask one question and get two answers")
    with LocalEnvironment(folder, FREE_PORTS) as local:
        play.say(
            f"Real parts: the server at {local.address}, an OpenID provider, 336,776 flights in Parquet. "
            "[bold]AWS is a stand-in (moto) here[/bold]: it takes every call and never denies one."
        )
        with penstock.connect(local.address, token=None) as stranger:
            metadata = stranger.sign_in_metadata()[0]
        alice_token, bob_token = (people.sign_in(metadata, name) for name in ("alice", "bob"))
        with people.connect(local.address, alice_token) as alice, people.connect(local.address, bob_token) as bob:
            _play(play, alice, bob)
        local.stop_server()
        _audit(play, local)
    play.say(f"\nDone in {time.monotonic() - started:.1f} s. To play with it yourself: penstock-server dev")
    return 0


def _play(play: stage.Stage, alice: penstock.Broker, bob: penstock.Broker) -> None:
    play.scene(1, "Who they are, by their single sign-on")
    play.side_by_side(*(_identity(broker) for broker in (alice, bob)))
    play.scene(2, "The same table has different columns: air_time is excluded for alice, tailnum is masked")
    play.side_by_side(scenes.columns(alice, "alice"), scenes.columns(bob, "bob"))
    play.scene(3, "The same SQL shows different rows: a row filter and a rules file by user and group")
    play.sql(scenes.SAME_ROWS)
    play.side_by_side(scenes.ask(alice, "alice", scenes.SAME_ROWS), scenes.ask(bob, "bob", scenes.SAME_ROWS))
    play.scene(4, "A join and an aggregate count only what each may see")
    play.sql(scenes.JOIN)
    play.side_by_side(scenes.ask(alice, "alice", scenes.JOIN), scenes.ask(bob, "bob", scenes.JOIN))
    play.scene(5, "An excluded column is a column that does not exist")
    play.sql(scenes.EXCLUDED)
    play.side_by_side(scenes.ask(alice, "alice", scenes.EXCLUDED), scenes.ask(bob, "bob", scenes.EXCLUDED))
    play.scene(6, "A denial gives its reason")
    play.sql(scenes.DENIED)
    play.side_by_side(scenes.ask(alice, "alice", scenes.DENIED), scenes.ask(bob, "bob", scenes.DENIED))
    play.scene(7, "A hidden table (planes) reads like one that does not exist (spaceships)")
    play.side_by_side(
        scenes.ask(alice, f"alice: {scenes.HIDDEN}", scenes.HIDDEN),
        scenes.ask(alice, f"alice: {scenes.MISSING}", scenes.MISSING),
    )
    play.scene(8, "AWS sessions: scoped to a prefix, and closed where a governed table lives")
    play.side_by_side(
        scenes.aws_session(alice, "arn:aws:s3:::acme-lake/exports/*"),
        scenes.aws_session(alice, "arn:aws:s3:::acme-lake/curated/nyc/*"),
    )
    play.scene(9, "A Redshift login")
    play.side_by_side(scenes.redshift(alice, "alice"), scenes.redshift(bob, "bob"))


def _identity(broker: penstock.Broker) -> RenderableType:
    identity = broker.whoami()
    text = (
        f"groups {', '.join(identity.groups)}; issuer {identity.issuer}; token ends {identity.expires_at:%H:%M:%S} UTC"
    )
    return stage.message(identity.username, text, good=True)


def _audit(play: stage.Stage, local: LocalEnvironment) -> None:
    play.scene(10, "The audit trail of all that, verified")
    program = Path(sys.executable).with_name("penstock-server")
    for arguments in (("audit", "show", "--last", "12"), ("audit", "verify")):
        command = [str(program), *arguments, "--config", str(local.config)]
        done = subprocess.run(command, env=local.environ, capture_output=True, text=True, check=False)  # noqa: S603
        play.say(done.stdout.rstrip() or done.stderr.rstrip())
        if done.returncode:
            raise ConfigurationError((f"`penstock-server {' '.join(arguments)}` failed",))


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".demo/run")))
    except ConfigurationError as problem:
        sys.exit(str(problem))

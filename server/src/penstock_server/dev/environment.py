"""Penstock and all that it needs, on this machine: the OpenID provider, the AWS stand-in, and the real server process.

The server is started as an operator starts it, by its command line with a configuration file, in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock_server.config.loading import load
from penstock_server.dev.aws_stand_in import CREDENTIALS, AwsStandIn
from penstock_server.dev.data import write_lake
from penstock_server.dev.issuer import DevClient, DevIssuer, DevUser
from penstock_server.errors import ConfigurationError
from penstock_server.service.health_client import is_serving

HOST = "127.0.0.1"
SAMPLE = Path(__file__).with_name("sample")
USERS = (
    DevUser(username="alice", groups=("analysts",), about="analyst"),
    DevUser(username="bob", groups=("ops",), about="operations lead"),
    DevUser(username="carol", groups=("security",), about="reads the audit"),
    DevUser(username="dana", groups=("platform",), about="administers Penstock"),
)
_START_SECONDS = 60.0
_STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the three parts listen; 0 takes a free port."""

    server: int
    issuer: int
    aws: int


STANDARD_PORTS = Ports(server=50051, issuer=50052, aws=50053)
FREE_PORTS = Ports(server=0, issuer=0, aws=0)


class LocalEnvironment:
    """Runs everything while the context is open.

    `folder` gets the sample configuration, policies and data where it has none; what is there already is kept, so a
    person may edit the policies between runs. State, audit and the server's log go there too.
    """

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.folder = folder.resolve()
        self.config = self.folder / "penstock.yaml"
        self.log = self.folder / "server.log"
        self._ports = ports
        self._stack = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.issuer: DevIssuer | None = None
        self.environ: dict[str, str] = {}

    def prepare(self) -> None:
        """Write configuration, policies and data where the folder has none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(SAMPLE.rglob("*")):
            target = self.folder / source.relative_to(SAMPLE)
            if source.is_dir():
                target.mkdir(exist_ok=True)
            elif not target.exists():
                shutil.copyfile(source, target)
        write_lake(self.folder / "lake")

    def __enter__(self) -> Self:
        self.prepare()
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def stop_server(self) -> None:
        """Drain and stop the server, keeping the provider and the stand-in."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def wait(self) -> int:
        """Wait until the server ends by itself; gives its exit code."""
        return self._server.wait() if self._server is not None else 0

    def _start(self) -> None:
        issuer = DevIssuer(
            HOST,
            self._ports.issuer,
            USERS,
            "penstock",
            (DevClient(client_id="penstock-cli", device_flow=True),),
        )
        self.issuer = self._stack.enter_context(issuer)
        aws = self._stack.enter_context(AwsStandIn(HOST, self._ports.aws))
        self.address = f"{HOST}:{self._ports.server or _free_port()}"
        self.environ = {
            **os.environ,
            **dict(CREDENTIALS),
            "PENSTOCK__SERVER__LISTEN": self.address,
            "PENSTOCK__IDENTITY__ISSUERS__0__ISSUER": issuer.issuer,
            "PENSTOCK__CREDENTIALS__AWS__ENDPOINT_URL": aws.endpoint_url,
            "PENSTOCK_EXTERNAL_ID": "stand-in",
        }
        command = [str(Path(sys.executable).with_name("penstock-server")), "serve", "--config", str(self.config)]
        log = self._stack.enter_context(self.log.open("ab"))
        # A session of its own: Ctrl-C in the terminal must reach the server once, as our SIGTERM, and not twice.
        self._server = subprocess.Popen(  # noqa: S603 - our own program
            command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        self._stack.callback(self.stop_server)
        self._wait_until_serving()

    def _wait_until_serving(self) -> None:
        settings = load(self.config, environ=self.environ).server
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._server is None or self._server.poll() is not None:
                raise ConfigurationError((f"the server ended while starting; {self._last_words()}",))
            if is_serving(settings, service="", timeout_seconds=1.0):
                return
            time.sleep(0.05)
        raise ConfigurationError((f"the server was not ready after {_START_SECONDS:.0f} s; {self._last_words()}",))

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return f"the end of {self.log}:\n" + "\n".join(lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

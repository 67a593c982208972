"""One monitor, one store in memory and one radosgw on free loopback ports, in one temporary folder.

```python
with running_cluster(installed(), folder) as cluster:
    cluster.url                                    # http://127.0.0.1:PORT: S3 and STS
    cluster.admin("user", "create", ...)           # radosgw-admin
```
Authentication between its own parts is off: they listen on the loopback only and hold nothing but test data.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.ceph.packages import CannotRun, Ceph
from support.server import free_port, wait_until

START_SECONDS = 120.0
STOP_SECONDS = 20.0
HOST = "127.0.0.1"

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [{mon}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth supported = none
ms mon client mode = crc
ms client mode = crc
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
mon data avail crit = 0
mon data avail warn = 0
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
erasure code dir = {erasure}
plugin dir = {plugins}
osd class dir = {classes}
osd class load list = *
osd class default list = *
run dir = {folder}/run
admin socket = {folder}/run/$name.$pid.asok
log file = {folder}/log/$name.log
crash dir = {folder}
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw s3 auth use sts = true
rgw sts key = abcdefghijklmnop
rgw data = {folder}/rgw
rgw thread pool size = 16
rgw enable usage log = false
rgw crypt require ssl = false
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that runs."""

    ceph: Ceph
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where S3 and STS answer."""
        return f"http://{HOST}:{self.port}"

    def admin(self, *arguments: str) -> str:
        """Run radosgw-admin and give what it prints."""
        return self.call("radosgw-admin", "-n", "client.rgw", *arguments)

    def call(self, program: str, *arguments: str) -> str:
        """Run one of Ceph's programs with this cluster's configuration and give what it prints."""
        command = [self.ceph.program(program), "-c", str(self.folder / "ceph.conf"), *arguments]
        return self._ran(command)

    def monitor(self, **command: str) -> str:
        """Give a command to the monitor, through Ceph's own library in a process of its own."""
        program = [sys.executable, str(Path(__file__).with_name("monitor_command.py"))]
        asked = [self.ceph.library("librados.so.2"), str(self.folder / "ceph.conf"), json.dumps(command)]
        return self._ran([*program, *asked])

    def _ran(self, command: list[str]) -> str:
        ran = subprocess.run(
            command, check=False, timeout=START_SECONDS, capture_output=True, text=True, env=self.ceph.environment
        )
        if ran.returncode:
            raise AssertionError(f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout


@contextmanager
def running_cluster(ceph: Ceph, folder: Path) -> Iterator[Cluster]:
    """A cluster until the block ends; `folder` is empty and takes all that it writes."""
    for name in ("mon", "osd", "run", "log", "rgw"):
        (folder / name).mkdir()
    monitor = f"v2:{HOST}:{free_port()},v1:{HOST}:{free_port()}"
    cluster = Cluster(ceph=ceph, folder=folder, port=free_port())
    fsid, store = str(uuid.uuid4()), str(uuid.uuid4())
    _configure(cluster, fsid=fsid, monitor=monitor)
    with ExitStack() as stack:
        cluster.call("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(folder / "monmap"))
        _start(stack, cluster, "ceph-mon", "-i", "a")
        cluster.monitor(prefix="osd new", uuid=store)
        # The store must be made with the very id that the monitor was told.
        cluster.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        _start(stack, cluster, "ceph-osd", "-i", "0")
        wait_until(
            lambda: json.loads(cluster.monitor(prefix="osd stat", format="json"))["num_up_osds"] == 1,
            seconds=START_SECONDS,
            what="the store of Ceph is up",
        )
        gateway = _start(stack, cluster, "radosgw", "-n", "client.rgw")
        wait_until(lambda: _answers(cluster, gateway), seconds=START_SECONDS, what="radosgw answers")
        yield cluster


def _configure(cluster: Cluster, *, fsid: str, monitor: str) -> None:
    ceph, folder = cluster.ceph, cluster.folder
    text = _CONFIGURATION.format(
        fsid=fsid,
        mon=monitor,
        folder=folder,
        port=cluster.port,
        erasure=ceph.library("ceph/erasure-code"),
        plugins=ceph.library("ceph"),
        classes=ceph.library("rados-classes"),
    )
    (folder / "ceph.conf").write_text(text)
    keyring, map_file = str(folder / "keyring"), str(folder / "monmap")
    cluster.call("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "client.rgw")
    cluster.call("ceph-authtool", keyring, "--gen-key", "-n", "client.admin")
    (folder / "rgw/keyring").write_text(Path(keyring).read_text())
    cluster.call("monmaptool", "--create", "--addv", "a", f"[{monitor}]", "--fsid", fsid, map_file)


def _start(stack: ExitStack, cluster: Cluster, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    output = stack.enter_context((cluster.folder / "log" / f"{program}.out").open("wb"))
    # However this process ends, its cluster ends with it.
    command = ["/usr/bin/setpriv", "--pdeathsig", "KILL", cluster.ceph.program(program)]
    popen = subprocess.Popen(
        [*command, "-c", str(cluster.folder / "ceph.conf"), *arguments, "-f"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=cluster.ceph.environment,
    )
    stack.callback(_end, popen)
    return popen


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    try:
        popen.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def _answers(cluster: Cluster, gateway: subprocess.Popen[bytes]) -> bool:
    if gateway.poll() is not None:
        written = (cluster.folder / "log/radosgw.out").read_text(errors="replace")
        raise CannotRun(f"radosgw ended with {gateway.returncode}:\n{written[-2000:]}")
    connection = http.client.HTTPConnection(HOST, cluster.port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()

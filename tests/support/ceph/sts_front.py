"""Stands between Penstock and radosgw's STS: the policy in radosgw's words, the request encoded and signed anew.

Penstock is pointed at it by `credentials.aws.endpoint_url`. People's requests go to radosgw itself.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.ceph.cluster import HOST, Cluster
from support.ceph.dialect import for_radosgw

SECONDS = 30.0


@dataclass(slots=True, kw_only=True)
class StsFront:
    """What is known while it runs; `sent` has the parameters of each AssumeRole as Penstock sent them.

    `altered` makes another policy of the one that is sent, for tests of what protects.
    """

    cluster: Cluster
    account: str
    credentials: Credentials
    url: str = ""
    altered: Callable[[str], str] = str
    sent: list[dict[str, str]] = field(default_factory=list)

    def forward(self, parameters: dict[str, str]) -> tuple[int, bytes]:
        """Send a request on; gives status and body."""
        self.sent.append(dict(parameters))
        if "Policy" in parameters:
            policy = for_radosgw(self.altered(parameters["Policy"]), self.account)
            parameters = {**parameters, "Policy": policy}
        # radosgw does not read `+` as a space.
        body = urlencode(parameters, quote_via=quote).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"{self.cluster.url}/", data=body, headers=headers)
        SigV4Auth(self.credentials, "sts", "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(HOST, self.cluster.port, timeout=SECONDS)
        try:
            connection.request("POST", "/", body, dict(request.prepare().headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.server, _Server)
        status, answer = self.server.front.forward(dict(parse_qsl(body, keep_blank_values=True)))
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: StsFront


@contextmanager
def running_front(cluster: Cluster, *, account: str, credentials: Credentials) -> Iterator[StsFront]:
    """Serve on a free loopback port until the block ends."""
    server = _Server((HOST, 0), _Handler)
    server.front = StsFront(cluster=cluster, account=account, credentials=credentials)
    server.front.url = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

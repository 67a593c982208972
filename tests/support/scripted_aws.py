"""A stand-in for AWS whose answers a test writes: by service, operation and who asks, over real HTTP.

```python
with scripted_aws({("sts", "GetCallerIdentity"): xml("<Arn>...</Arn>")}) as aws:
    aws.url; aws.calls
```
An answer may be a function of the call; what no answer is written for is refused as AWS refuses: AccessDenied.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call; `key` is the access key that signed it, `fields` its parameters as AWS sees them."""

    service: str
    operation: str
    key: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer."""

    body: str
    status: int = 200
    json: bool = False


Answer = Reply | Callable[[Call], Reply]
Script = Mapping[tuple[str, str], Answer]


def xml(inner: str, *, operation: str) -> Reply:
    """An answer of a service that speaks XML."""
    return Reply(body=f"<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>")


def refusal(code: str = "AccessDenied", status: int = 403) -> Reply:
    """An error of AWS, in XML."""
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return Reply(body=f"<ErrorResponse>{error}</ErrorResponse>", status=status)


@dataclass(kw_only=True)
class ScriptedAws:
    """Answers by its script, which a test may change while it runs. `now` is the time of its answers."""

    script: dict[tuple[str, str], Answer]
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        found = self.script.get((call.service, call.operation), refusal())
        return found(call) if callable(found) else found


@contextmanager
def scripted_aws(script: Script) -> Iterator[ScriptedAws]:
    """Serve a script on a loopback port of its own."""
    scripted = ScriptedAws(script=dict(script))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            del format, args

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)
            self.send_header("Date", format_datetime(scripted.now(), usegmt=True))

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that is closed leaves its connection
                super().handle()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            call = _call(self.command, self.path, dict(self.headers.items()), body)
            reply = scripted.answer(call)
            text = reply.body
            if call.service == "s3" and reply.status >= 400:
                text = text.removeprefix("<ErrorResponse>").removesuffix("</ErrorResponse>")
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1" if reply.json else "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - the names of the base class

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _call(method: str, path: str, headers: Mapping[str, str], body: str) -> Call:
    signed = re.search(r"Credential=([^/]+)/[0-9]+/[^/]+/([^/]+)/", headers.get("Authorization", ""))
    key, service = (signed[1], signed[2]) if signed else ("", "")
    where = urlsplit(path)
    if "X-Amz-Target" in headers:
        fields = {name: str(value) for name, value in json.loads(body or "{}").items()}
        return Call(service=service, operation=headers["X-Amz-Target"].rpartition(".")[2], key=key, fields=fields)
    asked = parse_qs(body if service != "s3" else where.query, keep_blank_values=True)
    fields = {name: values[0] for name, values in asked.items()}
    if service != "s3":
        return Call(service=service, operation=fields.pop("Action", ""), key=key, fields=fields)
    bucket, _, name = where.path.lstrip("/").partition("/")
    operation = _of_s3(method, name, fields)
    return Call(service=service, operation=operation, key=key, fields={**fields, "Bucket": bucket, "Key": name})


def _of_s3(method: str, name: str, fields: Mapping[str, str]) -> str:
    if name:
        return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}[method]
    subresources = {"policy": "GetBucketPolicy", "encryption": "GetBucketEncryption", "acl": "GetBucketAcl"}
    return next((operation for word, operation in subresources.items() if word in fields), "ListObjectsV2")

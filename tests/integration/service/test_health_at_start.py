"""A server says that it serves once it can tell who calls, and not before."""

import time
from pathlib import Path

from penstock.v1 import identity_service_pb2
from support.calls import client
from support.key_server import key_server
from support.server import free_port, start_server, wait_until
from support.small_lake import token_for, write_world


def test_a_server_that_does_not_know_its_issuers_keys_runs_and_does_not_serve(tmp_path: Path) -> None:
    port = free_port()
    with key_server() as keys:
        configuration = write_world(tmp_path, port=port)
        text = configuration.read_text().replace("jwks_file: keys.json", f"jwks_uri: {keys.origin}/nowhere")
        configuration.write_text(text)
        server = start_server(configuration, port=port)
        try:
            wait_until(lambda: '"started"' in server.written(), seconds=60, what="a started server")
            time.sleep(1.2)  # longer than it takes to look whether it serves
            assert not server.is_serving()
            assert server.popen.poll() is None
            with client(server.address, token_for("alice")) as alice:
                told = alice.refused(alice.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
                assert told.reason == "UNAUTHENTICATED"
        finally:
            server.stop()

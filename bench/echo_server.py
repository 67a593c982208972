"""The least that a Python gRPC server can do: answer an empty message, whatever the headers. Prints its port."""

import asyncio

import grpc
import uvloop
from google.protobuf.empty_pb2 import Empty


async def echo(request: Empty, _: object) -> Empty:
    return request


async def serve() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    method = grpc.unary_unary_rpc_method_handler(
        echo, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": method}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.Event().wait()


uvloop.run(serve())

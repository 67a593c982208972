"""The gRPC server: composed of methods and interceptors, opened on one address, drained and stopped."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta

import grpc

from penstock_server.broker.wiring import Broker
from penstock_server.config.settings import ServerSettings, Settings
from penstock_server.errors import ConfigurationError
from penstock_server.model.clock import Clock
from penstock_server.service import (
    access_service,
    audit_service,
    catalog_service,
    credential_service,
    identity_service,
    operations_service,
    policy_service,
    posture_service,
    query_service,
    spark_service,
)
from penstock_server.service.calls import Interceptor
from penstock_server.service.health import Health
from penstock_server.service.interceptors.access_log import AccessLog
from penstock_server.service.interceptors.authentication import Authentication
from penstock_server.service.interceptors.draining import Draining
from penstock_server.service.interceptors.failures import Failures
from penstock_server.service.interceptors.limits import Limits
from penstock_server.service.interceptors.request_id import RequestId
from penstock_server.service.methods import Method, MethodTable
from penstock_server.service.metrics import broker as broker_metrics
from penstock_server.service.metrics.calls import CallCounts
from penstock_server.service.metrics.endpoint import MetricsEndpoint
from penstock_server.service.paging import PageTokens
from penstock_server.service.reflection import Reflection
from penstock_server.service.tls import server_credentials

log = logging.getLogger(__name__)

DRAIN_TIME = timedelta(seconds=25)
"""How long calls under way may go on after SIGTERM; below the 30 s after which Kubernetes kills."""

_LAST_GRACE_SECONDS = 1.0
_KIB = 1024
_MIB = 1024 * 1024

SERVICES = (
    identity_service.NAME,
    catalog_service.NAME,
    query_service.NAME,
    credential_service.NAME,
    access_service.NAME,
    policy_service.NAME,
    audit_service.NAME,
    posture_service.NAME,
    operations_service.NAME,
    spark_service.NAME,
)

OPTIONS: tuple[tuple[str, int], ...] = (
    # A second server on the port must be an error, not half of the calls.
    ("grpc.so_reuseport", 0),
    # We accept 1 MiB (methods.MAX_REQUEST_BYTES); what lies between gets a typed answer.
    ("grpc.max_receive_message_length", 4 * _MIB),
    # A batch has at most 2 MiB, a page 2 MiB.
    ("grpc.max_send_message_length", 4 * _MIB),
    # A bearer token has at most 8 KiB, and stands beside a few short headers.
    ("grpc.max_metadata_size", 16 * _KIB),
    ("grpc.absolute_max_metadata_size", 32 * _KIB),
    ("grpc.max_concurrent_streams", 256),
    # A client that is gone without a word is noticed within 40 s; one that pings more often than that is a nuisance.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class Server:
    """Serves one broker on one address."""

    def __init__(self, settings: Settings, broker: Broker, clock: Clock) -> None:
        """Put the parts together; nothing listens yet."""
        self._settings = settings.server
        self.health = Health(frozenset(SERVICES), barriers=lambda: broker.barriers)
        self._draining = Draining()
        calls = CallCounts(clock)
        self._metrics = MetricsEndpoint(lambda: (*broker_metrics.families(broker.figures()), *calls.families()))
        interceptors: Sequence[Interceptor] = (
            RequestId(),
            AccessLog(clock),
            calls,
            Failures(),
            self._draining,
            Authentication(broker.identity),
            Limits(),
        )
        methods = (*self.health.methods(), *_methods(broker, settings))
        if settings.server.reflection:
            methods = (*methods, *Reflection(SERVICES).methods())
        self.methods = MethodTable(
            methods, interceptors, mutual_tls=_is_mutual(settings.server), posture=lambda: broker.known_posture
        )
        self._server: grpc.aio.Server | None = None

    async def listen(self) -> int:
        """Open the port and answer from now on; gives the port number.

        Raises:
            ConfigurationError: the address cannot be bound, or the certificates cannot be used.
        """
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self.methods,))
        address = self._settings.listen
        try:
            if self._settings.tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, server_credentials(self._settings.tls))
        except RuntimeError as error:
            raise ConfigurationError(
                (f"server.listen: `{address}` cannot be bound; is another server running on it?",)
            ) from error
        await server.start()
        self._server = server
        if self._settings.metrics is not None:
            told = await self._metrics.listen(self._settings.metrics)
            log.info("metrics", extra={"port": told})
        log.info("listening", extra={"address": address, "tls": self._settings.tls is not None})
        return port

    async def drain(self, time: timedelta = DRAIN_TIME) -> None:
        """Take no new calls, let those under way finish, then stop; metrics are told to the end."""
        await self.health.stop()
        left = await self._draining.drain(seconds=time.total_seconds())
        if left:
            log.warning("calls are cut off", extra={"calls": left})
        if self._server is not None:
            await self._server.stop(_LAST_GRACE_SECONDS)

    async def close(self) -> None:
        """Stop at once, cutting off whatever is under way; nothing to do after a drain."""
        await self._metrics.close()
        if self._server is not None:
            await self._server.stop(None)


def _methods(broker: Broker, settings: Settings) -> tuple[Method, ...]:
    pages = PageTokens(secrets.token_bytes(32))
    return (
        *identity_service.IdentityService(broker.identity).methods(),
        *catalog_service.CatalogService(broker.catalog, pages).methods(),
        *query_service.QueryService(broker.queries, patience=settings.query.stall_timeout).methods(),
        *credential_service.CredentialService(broker.credentials, broker.leases, pages).methods(),
        *access_service.AccessService(broker.access).methods(),
        *policy_service.PolicyService(broker.policy).methods(),
        *audit_service.AuditService(broker.audit, pages).methods(),
        *posture_service.PostureService(broker.posture, pages).methods(),
        *operations_service.OperationsService(broker.operations, pages).methods(),
        *spark_service.SparkService(broker.spark).methods(),
    )


def _is_mutual(settings: ServerSettings) -> bool:
    return settings.tls is not None and settings.tls.client_ca is not None

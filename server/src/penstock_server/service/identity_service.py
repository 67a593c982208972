"""penstock.v1.IdentityService."""

from __future__ import annotations

from penstock.v1 import identity_service_pb2 as messages

from penstock_server.broker.identity import IdentityBroker
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp

NAME = "penstock.v1.IdentityService"


class IdentityService:
    """Tells callers how to sign in and who they are."""

    def __init__(self, broker: IdentityBroker) -> None:
        self._broker = broker

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(
                name=f"/{NAME}/GetSignInMetadata",
                request=messages.GetSignInMetadataRequest,
                answer=self.get_sign_in_metadata,
                open=True,
            ),
            UnaryMethod(name=f"/{NAME}/WhoAmI", request=messages.WhoAmIRequest, answer=self.who_am_i),
        )

    async def get_sign_in_metadata(
        self, _: messages.GetSignInMetadataRequest, __: Call
    ) -> messages.GetSignInMetadataResponse:
        """Give what a client needs to sign a person in."""
        return messages.GetSignInMetadataResponse(
            issuers=[
                messages.SignInIssuer(
                    issuer=issuer.issuer,
                    client_id=issuer.client_id or "",
                    scopes=issuer.scopes,
                    audience=issuer.audience,
                    device_flow=issuer.device_flow,
                    default=issuer.default,
                )
                for issuer in self._broker.sign_in_issuers()
            ]
        )

    async def who_am_i(self, _: messages.WhoAmIRequest, call: Call) -> messages.WhoAmIResponse:
        """Give the caller's identity."""
        identity = await self._broker.who_am_i(caller_of(call))
        principal = identity.principal
        return messages.WhoAmIResponse(
            username=principal.username or "",
            subject=principal.subject,
            issuer=principal.issuer,
            groups=identity.groups,
            groups_complete=principal.groups_complete,
            expire_time=timestamp(principal.expires_at),
            policy_version=identity.policy_version,
            administrator=identity.administrator,
            auditor=identity.auditor,
        )

"""What Lake Formation permits in one account and region, asked page by page; nothing is ever changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penstock_server.aws.answers import Answer
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.aws.lake_formation_answers import LakeAnswer, estate_of
from penstock_server.model.lake_formation import LakeEstate

OPERATIONS: Final = {
    "ListPermissions": "list_permissions",
    "ListDataCellsFilter": "list_data_cells_filter",
    "ListRLSPolicyAttachments": "list_rls_policy_attachments",
    "ListLFTags": "list_lf_tags",
}
"""The calls that are made, each with the name of its method in boto3."""

MAX_PAGES: Final = 10_000
"""Pages of one call; an answer that never ends is an error, not an estate."""


class LakeFormation:
    """Reads one account's permissions in one region. The account is that of the identity that asks."""

    def __init__(self, clients: AwsClients, *, region: str) -> None:
        self._clients = clients
        self._region = region

    async def estate(self) -> LakeEstate:
        """Give everything that is permitted.

        Raises:
            ConfigurationError: an answer holds what this version does not know.
            Unavailable: AWS is busy, away, or refuses to say.
        """
        return estate_of(tuple([await self._answer(operation) for operation in OPERATIONS]))

    async def _answer(self, operation: str) -> LakeAnswer:
        pages: list[Answer] = []
        token: str | None = None
        while True:
            page = await self._page(operation, token)
            pages.append(Answer(members=page, place=f"{operation}[{len(pages)}]"))
            following = page.get("NextToken")
            if not isinstance(following, str) or not following:
                return LakeAnswer(operation=operation, pages=tuple(pages))
            if following == token or len(pages) >= MAX_PAGES:
                detail = f"lakeformation:{operation}: the pages do not end"
                raise as_error(Failure.UNREACHABLE, detail=detail)
            token = following

    async def _page(self, operation: str, token: str | None) -> Mapping[str, object]:
        parameters = {} if token is None else {"NextToken": token}

        def call() -> Mapping[str, object]:
            client = self._clients.lake_formation(self._region)
            answer: Mapping[str, object] = getattr(client, OPERATIONS[operation])(**parameters)
            return answer

        return await self._clients.run(call, operation=f"lakeformation:{operation}")

"""What Lake Formation permits in one account and region, asked page by page; nothing is ever changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from botocore.exceptions import ClientError

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
    "ListLFTagExpressions": "list_lf_tag_expressions",
}
"""The calls that are made, each with the name of its method in boto3."""

MAX_PAGES: Final = 10_000
"""Pages of one call; an answer that never ends is an error, not an estate."""


class LakeFormation:
    """Reads one account's permissions in one region. The account is that of the identity that asks."""

    def __init__(self, clients: AwsClients, *, region: str) -> None:
        self._clients = clients
        self._region = region

    async def estate(self, tables: Iterable[tuple[str, str]]) -> LakeEstate:
        """Give everything that is permitted; the tags of these tables (database, table) if there are LF-tags at all.

        Raises:
            ConfigurationError: an answer holds what this version does not know.
            Unavailable: AWS is busy, away, or refuses to say.
        """
        answers = [await self._answer(operation) for operation in OPERATIONS]
        if any(page.has("LFTags") and page.children("LFTags") for answer in answers for page in answer.pages):
            found = [await self._table_tags(database, table) for database, table in tables]
            answers += [answer for answer in found if answer is not None]
        return estate_of(tuple(answers))

    async def _table_tags(self, database: str, table: str) -> LakeAnswer | None:
        """Give the tags of a table; None where the Glue catalog has none such."""
        named = {"DatabaseName": database, "Name": table}

        def call() -> Mapping[str, object] | None:
            ask = getattr(self._clients.lake_formation(self._region), "get_resource_lf_tags")  # noqa: B009 - no stubs
            try:
                answer: Mapping[str, object] = ask(Resource={"Table": named})
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "EntityNotFoundException":
                    return None
                raise
            return answer

        page = await self._clients.run(call, operation="lakeformation:GetResourceLFTags")
        if page is None:
            return None
        place = f"GetResourceLFTags({database}.{table})"
        return LakeAnswer(
            operation="GetResourceLFTags", pages=(Answer(members=page, place=place),), table=(database, table)
        )

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

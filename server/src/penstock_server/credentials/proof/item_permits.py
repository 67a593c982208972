"""What was decided on items of DynamoDB, said once more: which requests a session may make.

The table of actions stands here a second time on purpose: a mistake in the builder's is not to be repeated.
Source: AWS service authorization reference, Amazon DynamoDB (actions, resource types, condition keys).
"""

from __future__ import annotations

from typing import Final

from penstock_server.model.dynamodb import DynamoDbPermission, DynamoDbScope, DynamoDbTarget

_ALL_READ: Final = frozenset(
    {"dynamodb:getitem", "dynamodb:batchgetitem", "dynamodb:query", "dynamodb:conditioncheckitem"}
)
_SOME_READ: Final = frozenset({"dynamodb:getitem", "dynamodb:batchgetitem", "dynamodb:query"})
_INDEX_READ: Final = frozenset({"dynamodb:query"})
_WRITTEN: Final = frozenset(
    {"dynamodb:putitem", "dynamodb:updateitem", "dynamodb:deleteitem", "dynamodb:batchwriteitem"}
)


def item_actions(scope: DynamoDbScope) -> frozenset[str]:
    """Give the actions of a scope, in lower case; none where it is of a kind that no session may have."""
    if scope.permission is DynamoDbPermission.WRITE:
        # A write can return the item, and an index is written by its table alone.
        return frozenset() if scope.attributes is not None or scope.target.index is not None else _WRITTEN
    if scope.target.index is not None:
        return _INDEX_READ
    return _ALL_READ if scope.attributes is None else _SOME_READ


def resource_of(target: DynamoDbTarget) -> str:
    """Give the ARN of a table or an index."""
    resource = f"arn:aws:dynamodb:{target.region}:{target.account}:table/{target.table}"
    return resource + ("" if target.index is None else f"/index/{target.index}")

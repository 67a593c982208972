"""Shared nouns to their messages, and messages of time to values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.v1 import decision_pb2

from penstock_server.errors import InvalidRequest
from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import GovernedColumn, GovernedTable, Shaping
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column

_VERDICTS = {
    Verdict.ALLOWED: decision_pb2.VERDICT_ALLOWED,
    Verdict.NARROWED: decision_pb2.VERDICT_NARROWED,
    Verdict.REFUSED: decision_pb2.VERDICT_REFUSED,
    Verdict.NOT_APPLICABLE: decision_pb2.VERDICT_NOT_APPLICABLE,
}


def timestamp(instant: datetime) -> Timestamp:
    """Give an instant as a message."""
    message = Timestamp()
    message.FromDatetime(instant.astimezone(UTC))
    return message


def duration(span: timedelta) -> Duration:
    """Give a span as a message."""
    message = Duration()
    message.FromTimedelta(span)
    return message


def span(field: str, message: Duration) -> timedelta:
    """Give a span that a caller sent, cut to microseconds. Raises InvalidRequest: no span that Python can hold."""
    try:
        return timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)
    except OverflowError:
        raise InvalidRequest(field, "a duration of less than 1,000,000 days") from None


def instant(field: str, message: Timestamp) -> datetime:
    """Give an instant that a caller sent, in UTC. Raises InvalidRequest: outside of the years 1 to 9999."""
    try:
        return message.ToDatetime(UTC)
    except (OverflowError, ValueError):
        raise InvalidRequest(field, "an instant from the year 1 up to 9999") from None


def applied_policy(table: TableName, shaping: Shaping) -> decision_pb2.AppliedPolicy:
    """Give how the policy shaped a table.

    SECURITY: never its fingerprint: that is a hash over hidden columns and constants too, which a caller could guess
    one by one until it fits (test_an_admitted_statement_leaves_a_whole_trail).
    """
    return decision_pb2.AppliedPolicy(
        table=str(table),
        grants=shaping.grants,
        row_rules=shaping.row_rules,
        masked_columns=[decision_pb2.MaskedColumn(column=column, mask=mask) for column, mask in shaping.masked],
        partly_null_columns=shaping.partly_null,
        rows_filtered=shaping.rows_filtered,
        columns_left_out=shaping.columns_left_out,
        row_filter_grants=shaping.row_filters,
        column_list_grants=shaping.column_lists,
        column_rules_applied=shaping.column_rules,
    )


def governed_columns(table: GovernedTable, shaping: Shaping) -> list[decision_pb2.VisibleColumn]:
    """Give the columns of a table that may be queried."""
    masks = dict(shaping.masked)
    partly_null = frozenset(shaping.partly_null)
    return [
        decision_pb2.VisibleColumn(
            name=governed.column.name,
            type=governed.column.type.sql,
            mask=_mask_of(governed, masks),
            partly_null=any(written_path(part.column.name) in partly_null for part in governed.parts()),
        )
        for governed in table.columns
    ]


def _mask_of(governed: GovernedColumn, masks: Mapping[str, str]) -> str:
    """Give the mask of a column; of a struct, those of its fields, each with its path."""
    if not governed.fields:
        return masks.get(governed.column.name, "")
    paths = (written_path(part.column.name) for part in governed.parts())
    return ", ".join(f"{path}: {masks[path]}" for path in paths if path in masks)


def described_columns(columns: Iterable[Column]) -> list[decision_pb2.VisibleColumn]:
    """Give the columns of a table that may only be described."""
    return [decision_pb2.VisibleColumn(name=column.name, type=column.type.sql) for column in columns]


def explanation(node: ExplanationNode) -> decision_pb2.ExplanationNode:
    """Give an explanation with everything below it."""
    return decision_pb2.ExplanationNode(
        layer=node.layer,
        verdict=_VERDICTS[node.verdict],
        sentence=node.sentence,
        children=[explanation(child) for child in node.children],
    )

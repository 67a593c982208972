"""From messages of `penstock.v1` to the values that callers get. Instants become aware UTC datetimes here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.credentials import AwsCredentials, Door, Lease, LeaseState, RedshiftLogin, RevokedLease
from penstock.decisions import (
    AppliedPolicy,
    Column,
    Explanation,
    Identity,
    MaskedColumn,
    QueryExplanation,
    Table,
    TableAccess,
    TableCheck,
    Verdict,
)
from penstock.errors import PenstockError
from penstock.login import SignInMetadata
from penstock.v1 import (
    access_service_pb2,
    catalog_service_pb2,
    credential_service_pb2,
    decision_pb2,
    identity_service_pb2,
)

Value = TypeVar("Value")
Noun = TypeVar("Noun")

_ACCESS = {
    access_service_pb2.TABLE_ACCESS_NOT_FOUND: TableAccess.NOT_FOUND,
    access_service_pb2.TABLE_ACCESS_DESCRIBE: TableAccess.DESCRIBE,
    access_service_pb2.TABLE_ACCESS_SELECT: TableAccess.SELECT,
}
_VERDICTS = {
    decision_pb2.VERDICT_ALLOWED: Verdict.ALLOWED,
    decision_pb2.VERDICT_NARROWED: Verdict.NARROWED,
    decision_pb2.VERDICT_REFUSED: Verdict.REFUSED,
    decision_pb2.VERDICT_NOT_APPLICABLE: Verdict.NOT_APPLICABLE,
}
_DOORS = {
    credential_service_pb2.DOOR_QUERY: Door.QUERY,
    credential_service_pb2.DOOR_AWS: Door.AWS,
    credential_service_pb2.DOOR_REDSHIFT: Door.REDSHIFT,
    credential_service_pb2.DOOR_SPARK: Door.SPARK,
}
_LEASE_STATES = {
    credential_service_pb2.LEASE_STATE_ISSUING: LeaseState.ISSUING,
    credential_service_pb2.LEASE_STATE_ISSUED: LeaseState.ISSUED,
    credential_service_pb2.LEASE_STATE_REVOKED: LeaseState.REVOKED,
}


def sign_in_metadata(message: identity_service_pb2.SignInIssuer) -> SignInMetadata:
    """Unpack how to sign in at one identity provider."""
    return SignInMetadata(
        issuer=message.issuer,
        client_id=message.client_id,
        scopes=tuple(message.scopes),
        audience=message.audience,
        device_flow=message.device_flow,
    )


def identity(message: identity_service_pb2.WhoAmIResponse) -> Identity:
    """Unpack the caller's identity."""
    return Identity(
        username=message.username,
        subject=message.subject,
        issuer=message.issuer,
        groups=tuple(message.groups),
        groups_complete=message.groups_complete,
        expires_at=instant(message.expire_time),
        policy_version=message.policy_version,
        administrator=message.administrator,
        auditor=message.auditor,
    )


def table(message: catalog_service_pb2.VisibleTable) -> Table:
    """Unpack a table as the caller sees it."""
    return Table(
        name=message.name,
        columns=tuple(_column(each) for each in message.columns),
        queryable=message.queryable,
        rows_filtered=message.rows_filtered,
        applied_policy=applied_policy(message.applied_policy) if message.HasField("applied_policy") else None,
    )


def check(message: access_service_pb2.AccessResult, *, policy_version: str) -> TableCheck:
    """Unpack the answer about one table."""
    return TableCheck(
        table=message.table,
        access=known(_ACCESS, message.access),
        columns=tuple(_column(each) for each in message.columns),
        rows_filtered=message.rows_filtered,
        policy_version=policy_version,
    )


def applied_policy(message: decision_pb2.AppliedPolicy) -> AppliedPolicy:
    """Unpack how the policy shaped one table."""
    return AppliedPolicy(
        table=message.table,
        grants=tuple(message.grants),
        row_rules=tuple(message.row_rules),
        masked_columns=tuple(MaskedColumn(column=each.column, mask=each.mask) for each in message.masked_columns),
        partly_null_columns=tuple(message.partly_null_columns),
        rows_filtered=message.rows_filtered,
        columns_left_out=message.columns_left_out,
        row_filter_grants=tuple(message.row_filter_grants),
        column_list_grants=tuple(message.column_list_grants),
        column_rules_applied=message.column_rules_applied,
    )


def explanation(message: decision_pb2.ExplanationNode) -> Explanation:
    """Unpack a tree of layers."""
    return Explanation(
        layer=message.layer,
        verdict=known(_VERDICTS, message.verdict),
        sentence=message.sentence,
        children=tuple(explanation(each) for each in message.children),
    )


def query_explanation(message: access_service_pb2.ExplainAccessResponse) -> QueryExplanation:
    """Unpack the explanation of a statement."""
    return QueryExplanation(
        tree=explanation(message.explanation),
        used_columns={each.table: tuple(each.columns) for each in message.used_columns},
        policy_version=message.policy_version,
    )


def aws_credentials(message: credential_service_pb2.IssueAwsCredentialsResponse) -> AwsCredentials:
    """Unpack an AWS session."""
    return AwsCredentials(
        access_key_id=message.access_key_id,
        secret_access_key=message.secret_access_key,
        session_token=message.session_token,
        expires_at=instant(message.expire_time),
        session_policy=message.session_policy,
        lease_id=message.lease_id,
        role_arn=message.role_arn,
        region=message.region,
        revocable=message.revocable,
        grants=tuple(message.grants),
        policy_version=message.policy_version,
    )


def redshift_login(message: credential_service_pb2.IssueRedshiftCredentialsResponse) -> RedshiftLogin:
    """Unpack a database login."""
    return RedshiftLogin(
        user=message.user,
        password=message.password,
        host=message.host,
        port=message.port,
        database=message.database,
        expires_at=instant(message.expire_time),
        lease_id=message.lease_id,
        database_groups=tuple(message.database_groups),
        revocable=message.revocable,
        grants=tuple(message.grants),
        policy_version=message.policy_version,
    )


def lease(message: credential_service_pb2.Lease) -> Lease:
    """Unpack a lease."""
    return Lease(
        lease_id=message.lease_id,
        door=known(_DOORS, message.door),
        state=known(_LEASE_STATES, message.state),
        scope=message.scope,
        issuer=message.issuer,
        subject=message.subject,
        role_arn=message.role_arn,
        created_at=instant(message.create_time),
        expires_at=instant(message.expire_time),
        revoked_at=instant(message.revoke_time) if message.HasField("revoke_time") else None,
    )


def revoked_lease(message: credential_service_pb2.RevokeLeaseResponse) -> RevokedLease:
    """Unpack a lease that was revoked."""
    return RevokedLease(lease=lease(message.lease), effect=message.effect)


def instant(message: Timestamp) -> datetime:
    """Give an aware UTC datetime, to the microsecond."""
    return message.ToDatetime(tzinfo=UTC)


def _column(message: decision_pb2.VisibleColumn) -> Column:
    return Column(name=message.name, type=message.type, mask=message.mask, partly_null=message.partly_null)


def known(nouns: Mapping[Value, Noun], value: Value) -> Noun:
    """Give the noun of a value. Raises PenstockError where there is none."""
    # A verdict that is not understood must not be taken for one that is.
    noun = nouns.get(value)
    if noun is None:
        raise PenstockError(
            "the answer holds a value that this version of the client does not know",
            reason="UNKNOWN_VALUE",
            hint="install the client that belongs to the server",
        )
    return noun

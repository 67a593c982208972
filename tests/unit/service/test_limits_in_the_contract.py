"""The numbers in the contract's comments are those that are enforced."""

import re
from pathlib import Path

import pytest
from penstock_server.broker import access, explained_principals, pages, policy_drafts, table_names
from penstock_server.identity.text import MAX_NAME_CHARS
from penstock_server.query import requests
from penstock_server.service import policy_service

PROTO = Path(__file__).parents[3] / "proto" / "penstock" / "v1"


def comment(file: str, message: str, field: str) -> str:
    """The comment above a field of a message."""
    text = (PROTO / file).read_text()
    body = re.search(rf"message {message} \{{\n(.*?)\n\}}", text, re.DOTALL)
    assert body is not None
    found = re.search(rf"((?:\s*//[^\n]*\n)+)\s*[\w.]+(?: [\w.]+)? {field} = ", body[1])
    assert found is not None
    return " ".join(line.strip(" /") for line in found[1].splitlines())


@pytest.mark.parametrize(
    ("file", "message", "field", "says"),
    [
        ("query_service.proto", "ExecuteQueryRequest", "sql", f"{requests.MAX_SQL_BYTES // 1024} KiB"),
        ("query_service.proto", "ExecuteQueryRequest", "parameters", f"At most {requests.MAX_PARAMETERS:,}"),
        ("query_service.proto", "ExecuteQueryRequest", "timeout", "from 1 ms up to the server's own limit"),
        ("access_service.proto", "CheckAccessRequest", "tables", f"1 to {access.MAX_TABLES} table names"),
        ("access_service.proto", "CheckAccessRequest", "tables", f"{table_names.MAX_NAME_CHARACTERS:,} characters"),
        ("access_service.proto", "ExplainAccessRequest", "table", f"{table_names.MAX_NAME_CHARACTERS:,} characters"),
        ("access_service.proto", "ExplainedPrincipal", "username", f"{MAX_NAME_CHARS} characters"),
        ("access_service.proto", "ExplainedPrincipal", "groups", f"At most {explained_principals.MAX_GROUPS:,}"),
        ("access_service.proto", "ExplainedPrincipal", "attributes", f"At most {explained_principals.MAX_ATTRIBUTES}"),
        ("access_service.proto", "ExplainedAttribute", "values", f"1 to {explained_principals.MAX_VALUES}"),
        ("posture_service.proto", "ListFindingsRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
        ("operations_service.proto", "ListQueriesRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
        ("operations_service.proto", "ListExtractsRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
        ("catalog_service.proto", "GetTableRequest", "name", f"{table_names.MAX_NAME_CHARACTERS:,} characters"),
        ("catalog_service.proto", "ListTablesRequest", "pattern", f"{table_names.MAX_PATTERN_CHARACTERS} characters"),
        ("catalog_service.proto", "ListTablesRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
        ("audit_service.proto", "ListAuditRecordsRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
        (
            "policy_service.proto",
            "ValidatePolicyRequest",
            "files",
            f"1 to {policy_drafts.MAX_FILES:,} of different names",
        ),
        ("policy_service.proto", "PlanPolicyRequest", "files", f"1 to {policy_drafts.MAX_FILES:,} of different names"),
        ("policy_service.proto", "PlanPolicyRequest", "files", f"{policy_service.MAX_POLICY_BYTES // 2**20} MiB"),
        ("policy_service.proto", "PolicyFile", "path", f"1 to {policy_drafts.MAX_PATH_CHARACTERS} characters"),
        ("credential_service.proto", "ListLeasesRequest", "page_size", f"1 to {pages.MAX_PAGE_SIZE:,}; 0 means 100"),
    ],
)
def test_the_contract_quotes_the_limit_that_is_enforced(file: str, message: str, field: str, says: str) -> None:
    assert says in comment(file, message, field)
    assert pages.DEFAULT_PAGE_SIZE == 100

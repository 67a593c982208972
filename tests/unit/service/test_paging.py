import base64

import pytest
from penstock_server.errors import InvalidRequest
from penstock_server.service.paging import PageTokens
from support.transports import call, principal

PAGES = PageTokens(b"k" * 32)


def test_a_token_goes_on_where_the_page_ended() -> None:
    token = PAGES.token(call(), end="lake.nyc.flights", question="lake.*")
    request = PAGES.request(call(), size=10, token=token, question="lake.*")
    assert (request.size, request.after) == (10, "lake.nyc.flights")


def test_the_first_page_has_no_token_and_the_last_gives_none() -> None:
    assert PAGES.request(call(), size=0, token="", question="").after == ""
    assert PAGES.token(call(), end="", question="") == ""


@pytest.mark.parametrize("change", ["caller", "issuer", "question", "method", "key", "bits", "cut", "junk", "long"])
def test_a_token_is_good_for_its_caller_and_question_only(change: str) -> None:
    token = PAGES.token(call(), end="lake.nyc.flights", question="lake.*")
    pages, made, question = PAGES, call(), "lake.*"
    match change:
        case "caller":
            made = call(who=principal("bob"))
        case "issuer":
            made = call(who=principal(issuer="https://other.test"))
        case "question":
            question = "*"
        case "method":
            made = call(method="/penstock.v1.AuditService/ListAuditRecords")
        case "key":
            pages = PageTokens(b"other" * 8)
        case "bits":
            raw = bytearray(base64.urlsafe_b64decode(token))
            raw[-1] ^= 1
            token = base64.urlsafe_b64encode(raw).decode()
        case "cut":
            token = token[:16]
        case "junk":
            token = "£ not base64"
        case "long":
            token = "A" * 100_000
    with pytest.raises(InvalidRequest) as refused:
        pages.request(made, size=0, token=token, question=question)
    assert refused.value.fields[0].field == "page_token"


def test_a_call_without_a_principal_gets_no_page() -> None:
    nobody = call()
    nobody.principal = None
    with pytest.raises(RuntimeError):
        PAGES.token(nobody, end="x", question="")

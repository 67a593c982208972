"""HTTP as values: what came, what goes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to the issuer. `fields` are those of the query or the form; one that stands twice is not there."""

    method: str
    path: str
    fields: Mapping[str, str]
    origin: str | None

    def field(self, name: str) -> str:
        """Give a field, "" where it is not there."""
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer of the issuer; `location` is set on redirects only."""

    status: HTTPStatus
    content_type: str
    body: bytes
    location: str | None = None


def json_response(value: Mapping[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with JSON."""
    return Response(status=status, content_type="application/json", body=json.dumps(value).encode())


def html_response(page: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a page."""
    return Response(status=status, content_type="text/html; charset=utf-8", body=page.encode())


def redirect(location: str) -> Response:
    """Send the browser elsewhere, with GET."""
    return Response(status=HTTPStatus.SEE_OTHER, content_type="text/plain", body=b"", location=location)


def oauth_error(error: str, description: str) -> Response:
    """Refuse as RFC 6749 section 5.2 says."""
    return json_response({"error": error, "error_description": description}, HTTPStatus.BAD_REQUEST)

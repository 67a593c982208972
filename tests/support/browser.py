"""A browser without a person: follows redirects, keeps cookies, fills in the one form of each page."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin

_MAX_PAGES = 10


@dataclass(slots=True)
class Form:
    """The first form of a page: what it sends besides what a person chooses."""

    action: str = ""
    method: str = "get"
    hidden: dict[str, str] = field(default_factory=dict)
    offered: set[str] = field(default_factory=set)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(action=values.get("action", ""), method=values.get("method", "get").lower())
        elif tag in {"input", "button"} and self.form is not None and values.get("name"):
            if values.get("type") == "hidden":
                self.form.hidden[values["name"]] = values.get("value", "")
            else:
                self.form.offered.add(values["name"])


class Browser:
    """Opens an address as `username`: on each page it sends the form with those of its choices that are offered.

    Callable, so that it can stand where a program opens the user's browser. `pages` are the addresses that it saw.
    """

    def __init__(self, username: str, **choices: str) -> None:
        self._choices = {"username": username, "confirm": "yes", **choices}
        handler = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(handler, urllib.request.ProxyHandler({}))
        self.pages: list[str] = []
        self.text = ""

    def __call__(self, address: str) -> bool:
        """Go through all pages from this address to the last, which has no form to send."""
        request: urllib.request.Request | None = urllib.request.Request(address)
        for _ in range(_MAX_PAGES):
            if request is None:
                return True
            request = self._next(request)
        raise AssertionError(f"still a form after {_MAX_PAGES} pages: {self.pages}")

    def _next(self, request: urllib.request.Request) -> urllib.request.Request | None:
        with self._opener.open(request, timeout=10) as response:
            here, self.text = response.url, response.read().decode()
        self.pages.append(here)
        reader = _FormReader()
        reader.feed(self.text)
        form = reader.form
        if form is None:
            return None
        chosen = {name: value for name, value in self._choices.items() if name in form.offered}
        # A form whose only fields are hidden asks for nothing but a click.
        if not chosen and not form.hidden:
            return None
        fields = urlencode(form.hidden | chosen)
        target = urljoin(here, form.action)
        if form.method == "post":
            return urllib.request.Request(target, data=fields.encode(), headers={"Origin": _origin(target)})
        return urllib.request.Request(f"{target}?{fields}")


def _origin(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"

"""What entries of the section `credentials` have in common: names of their own, and values of a form."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.config.document import Entry
from penstock_server.config.reading import MapReader, shown

REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
ROLE_ARN: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)


def check_name(reader: MapReader, entry: Entry) -> None:
    """Complain of an entry whose name is none."""
    if _NAME.fullmatch(entry.key) is None:
        what = "is no name: a letter, then up to 62 letters, digits, `_` or `-`"
        reader.problems.add(entry.place, f"{shown(entry.key)} {what}")


def matching(reader: MapReader, key: str, form: re.Pattern[str], example: str) -> str:
    """Give the text of a key, "" where there is none; complain where it has not the form."""
    text = reader.text(key)
    if text and form.fullmatch(text) is None:
        reader.complain(key, f"{shown(text)} has not the form {example}")
    return text or ""

"""Names and constants as Redshift reads them."""

from __future__ import annotations

import unicodedata

from penstock_server.model.printable import printable


def identifier(name: str) -> str:
    """Give a name in double quotes.

    Raises:
        ValueError: no statement can carry it.
    """
    if not name or "\x00" in name:
        raise ValueError("the name is empty or holds NUL")
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Give a text in single quotes.

    Raises:
        ValueError: no statement can carry it. Redshift: a backslash escapes within quotes, whatever PostgreSQL does.
    """
    if "\\" in text or any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("the text holds a backslash or a control character")
    # SECURITY: an administrator runs what was printed; a constant that a terminal shows escaped would be another one,
    # under the name of the right one.
    if printable(text) != text:
        raise ValueError("the text holds a character that cannot be printed as it is")
    return "'" + text.replace("'", "''") + "'"

from __future__ import annotations

import pytest
from penstock_server.cli.terminal import Terminal
from penstock_server.model.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x9b31m", "\\x9b31m"),
        ("ab\u202ecd", "ab\\u202ecd"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\u200b\ufeff\u2028", "\\u200b\\ufeff\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("Łódź 東京 👩\u200d🔬 {a: [1]} \\n", "Łódź 東京 👩\u200d🔬 {a: [1]} \\n"),
    ],
)
def test_escape_sequences_of_a_caller_never_reach_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_brackets_are_text_and_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.say("identity.issuers[0] [red]x[/red] [link=https://evil.test]y[/link]")
    terminal.say_parts([("[bold]", "green"), ("\x1b[1m", "")])
    written = capsys.readouterr().out
    assert written == "identity.issuers[0] [red]x[/red] [link=https://evil.test]y[/link]\n[bold]\\x1b[1m\n"


def test_long_lines_are_not_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    Terminal().say("word " * 50)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(("no_color", "colours"), [("", True), ("1", False)])
def test_no_color_is_obeyed(no_color: str, colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with terminal._out.capture() as capture:
        terminal.say("x", style="green")
    assert ("32m" in capture.get()) is colours

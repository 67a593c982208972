from __future__ import annotations

import os
import subprocess
import sys

import pytest
from penstock import InvalidRequest
from penstock.delivery.lifeline import Lifeline


def test_the_end_of_the_parent_is_seen() -> None:
    parent = 7
    with Lifeline(parent=lambda: parent) as lifeline:
        assert lifeline.holds()
        parent = 1
        assert not lifeline.holds()


@pytest.mark.parametrize("by_number_alone", [False, True])
def test_the_end_of_a_process_is_seen(monkeypatch: pytest.MonkeyPatch, by_number_alone: bool) -> None:
    if by_number_alone:
        monkeypatch.delattr(os, "pidfd_open")
    program = [sys.executable, "-c", "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as process, Lifeline(process.pid) as lifeline:
        assert lifeline.holds()
        process.kill()
        process.wait()
        assert not lifeline.holds()


@pytest.mark.parametrize("pid", [2**22 + 1, 2**40])
def test_a_process_that_is_none_is_refused(pid: int) -> None:
    with pytest.raises(InvalidRequest, match="no running process"):
        Lifeline(pid)

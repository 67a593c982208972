"""`make demo`, as a person runs it, but for the set-up: the same program in this environment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "two_people"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run([sys.executable, DEMO, folder], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_people_get_two_answers_to_one_question(shown: str) -> None:
    assert re.search(r"JetBlue Airways +JFK +20,699 .*United Air Lines Inc\. +EWR +46,087", shown)


def test_the_mask_and_the_clear_value_stand_side_by_side(shown: str) -> None:
    assert re.search(r"\[redacted\] .*N619AA", shown)


def test_a_hidden_table_and_a_missing_one_read_alike(shown: str) -> None:
    assert re.search(r"there is no table `nyc\.planes` .*there is no table `nyc\.spaceships`", shown)


def test_it_says_that_aws_is_a_stand_in(shown: str) -> None:
    assert "AWS is a stand-in (moto)" in shown


def test_the_audit_trail_is_whole(shown: str) -> None:
    assert re.search(r"^whole +\d+ records", shown, re.MULTILINE)


def test_output_that_is_no_terminal_has_no_colours(shown: str) -> None:
    assert "\x1b" not in shown

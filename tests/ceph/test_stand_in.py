"""The parts of the stand-in that a wrong answer would come from: the pinned packages and the rewriting of policies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from penstock_server.credentials.fit import print_session_policy
from support.ceph.dialect import ACTIONS, all_actions_but, for_radosgw
from support.ceph.packages import CannotRun, Pin, _checked, read_pins
from support.s3_scopes import ACCOUNT, STRANGER
from support.weak_builders import READ, WRITE, scope


def test_a_package_that_is_not_the_pinned_one_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "radosgw_1_amd64.deb").write_bytes(b"x")
    right = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    pin = Pin(name="radosgw", version="1", size=1, sha256=right)
    assert _checked(pin, tmp_path).name == "radosgw_1_amd64.deb"
    for wrong in (replace(pin, sha256="0" * 64), replace(pin, size=2)):
        with pytest.raises(CannotRun, match="nothing of it was unpacked"):
            _checked(wrong, tmp_path)


def test_every_pin_is_whole() -> None:
    assert all(len(pin.sha256) == 64 and pin.size > 0 for pin in read_pins())
    assert {"radosgw", "ceph-mon", "ceph-osd", "librados2"} <= {pin.name for pin in read_pins()}


@pytest.mark.parametrize("kept", [("s3:GetObject",), ("s3:GetObject", "s3:ListBucket"), ("s3:PutObject",), ()])
def test_all_actions_but_some_are_exactly_the_others(kept: tuple[str, ...]) -> None:
    patterns = all_actions_but(kept)
    matched = {
        action
        for action in ACTIONS
        if any(action == each or (each[-1] == "*" and action.startswith(each[:-1])) for each in patterns)
    }
    assert matched == set(ACTIONS) - set(kept)


def test_only_what_radosgw_lacks_is_rewritten() -> None:
    sent = print_session_policy((scope("a/", READ, WRITE),), ACCOUNT, None)
    before, after = (json.loads(each)["Statement"] for each in (sent, for_radosgw(sent, ACCOUNT)))
    (allowed,) = (each for each in before if each["Effect"] == "Allow")
    assert allowed.pop("Condition") == {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
    assert [each for each in after if each["Effect"] == "Allow"] == [allowed]
    assert [each for each in before if "NotResource" in each] == [each for each in after if "NotResource" in each]
    assert len(before) == len(after) + 1


def test_a_policy_for_another_account_is_left_as_it_is() -> None:
    sent = print_session_policy((scope("a/", READ),), STRANGER, None)
    assert "aws:ResourceAccount" in for_radosgw(sent, ACCOUNT)

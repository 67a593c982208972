"""Mistakes that a builder of session policies could make, each made in the real one: the proof refuses every one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import Doubt, ProvedPolicy, prove
from support.s3_scopes import ACCOUNT, ENDED
from support.small_policies import Case, confirms
from support.weak_builders import MISTAKES, Mistake


def case_of(mistake: Mistake) -> Case:
    ends = (ENDED,) if mistake.ends else ()
    decided = Decided(scopes=mistake.scopes, account=ACCOUNT, ends=ends, session_ends_by=ENDED + timedelta(hours=1))
    return Case(text=print_session_policy(decided.scopes, ACCOUNT, decided.until), decided=decided)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_builder_is_refused_with_a_request_that_shows_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake = MISTAKES[name]
    right = case_of(mistake)
    assert isinstance(prove(right.text, right.decided), ProvedPolicy)

    mistake.make(monkeypatch)
    wrong = case_of(mistake)
    assert wrong.text != right.text
    outcome = prove(wrong.text, wrong.decided)

    assert not isinstance(outcome, ProvedPolicy)
    assert outcome.doubt is mistake.doubt, outcome
    if mistake.doubt is not Doubt.NOT_UNDERSTOOD:
        assert outcome.witness is not None
        assert confirms(wrong, outcome.doubt, outcome.witness), outcome

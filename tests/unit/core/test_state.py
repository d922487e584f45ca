"""The table of an HTTP/1 connection's stages, and that it is looked at."""

from collections.abc import Callable

import pytest

from kore._core.state import TRANSITIONS, StageError, check_stages
from kore._core.testing_protocol import try_transition
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
LAST = {"CLOSING", "SWITCHED"}


def test_every_stage_is_in_the_table_and_can_be_reached() -> None:
    reached, left = {"IDLE"}, ["IDLE"]
    while left:
        for stage in TRANSITIONS[left.pop()] - reached:
            reached.add(stage)
            left.append(stage)

    assert reached == set(TRANSITIONS)


def test_every_stage_but_the_last_ones_can_close() -> None:
    assert {stage for stage, after in TRANSITIONS.items() if "CLOSING" not in after} == LAST
    assert not any(TRANSITIONS[stage] for stage in LAST)


@pytest.mark.parametrize("before", TRANSITIONS)
@pytest.mark.parametrize("after", TRANSITIONS)
def test_a_transition_is_checked_against_the_table(before: str, after: str) -> None:
    stages = list(TRANSITIONS)
    if after in TRANSITIONS[before] or after == before:
        try_transition(before, after)
    else:
        with pytest.raises(StageError, match=f"{before} -> {after}"):
            try_transition(before, after)
    assert stages == list(TRANSITIONS)


def test_tests_run_with_the_check_and_it_can_be_turned_off() -> None:
    assert check_stages(False)
    assert not check_stages(True)


def test_whole_exchanges_keep_to_the_table(pair: Make) -> None:
    house = pair()
    data = get() + post(b"x" * 10) + get("/", "Expect: 100-continue")

    assert house.ask(data) == [200, 200, 200]
    assert house.failed() == []

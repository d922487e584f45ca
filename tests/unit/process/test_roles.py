from dataclasses import replace

import pytest

from kore._process.ipc import messages
from kore._process.roles import TEMPLATE, WORKER, Role, Verdict, entry, verdict


@pytest.mark.parametrize(
    ("role", "policy", "expected"),
    [
        (WORKER, "restart", Verdict.RESTART),
        (WORKER, "terminate", Verdict.SHUT_DOWN),
        (TEMPLATE, "restart", Verdict.RESTART),
        (TEMPLATE, "terminate", Verdict.RESTART),
        (replace(TEMPLATE, essential=True), "restart", Verdict.SHUT_DOWN),
    ],
)
def test_what_the_death_of_a_child_means(role: Role, policy: str, expected: Verdict) -> None:
    assert verdict(role, policy) is expected


def test_nobody_but_the_parent_gives_orders() -> None:
    for role in (TEMPLATE, WORKER):
        assert not role.sends & {messages.Stop, messages.Fork}


def test_a_worker_does_not_speak_for_the_template() -> None:
    assert not WORKER.sends & {messages.ConfigLoaded, messages.Forked, messages.NotForked}


def test_titles_and_names_in_the_log() -> None:
    assert WORKER.title("shop", 3) == "shop [wrk 3]"
    assert TEMPLATE.title("kore") == "kore [template]"


def test_what_a_role_runs_exists() -> None:
    assert callable(entry(TEMPLATE.main))
    assert callable(entry(WORKER.main))

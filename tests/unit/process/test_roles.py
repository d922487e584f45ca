from kore._process.ipc import messages
from kore._process.roles import TEMPLATE, WORKER, import_main


def test_nobody_but_the_parent_gives_orders() -> None:
    for role in (TEMPLATE, WORKER):
        assert not role.sends & {messages.Stop, messages.Fork}


def test_a_worker_does_not_speak_for_the_template() -> None:
    assert not WORKER.sends & {messages.ConfigLoaded, messages.Forked, messages.NotForked}


def test_titles_and_names_in_the_log() -> None:
    assert WORKER.format_title("shop", 3) == "shop [wrk 3]"
    assert TEMPLATE.format_title("kore") == "kore [template]"


def test_what_a_role_runs_exists() -> None:
    assert callable(import_main(TEMPLATE.main))
    assert callable(import_main(WORKER.main))

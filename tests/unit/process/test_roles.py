from kore._process.ipc import messages
from kore._process.ipc.descriptors import CHANNEL
from kore._process.roles import TEMPLATE, WORKER, import_main


def test_only_the_parent_may_send_stop_and_fork() -> None:
    for role in (TEMPLATE, WORKER):
        assert not role.sends & {messages.Stop, messages.Fork}


def test_worker_may_not_send_messages_of_the_template() -> None:
    assert not WORKER.sends & {messages.ConfigLoaded, messages.Forked, messages.NotForked}


def test_title_contains_label_and_number() -> None:
    assert WORKER.format_title("shop", 3) == "shop [wrk 3]"
    assert TEMPLATE.format_title("kore") == "kore [template]"


def test_main_of_a_role_can_be_imported() -> None:
    assert callable(import_main(TEMPLATE.main))
    assert callable(import_main(WORKER.main))


def test_every_role_is_handed_a_channel() -> None:
    assert TEMPLATE.descriptors == (CHANNEL,)
    assert WORKER.descriptors[0] == CHANNEL

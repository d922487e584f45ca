"""LISTEN and NOTIFY."""

import pytest

from tests.helpers.fix_postgres import APP, Raised, Worker
from tests.helpers.fix_serve import Launcher
from tests.helpers.postgres import Postgres
from tests.helpers.procs import until


def notify(postgres: Postgres, channel: str, payload: str) -> None:
    """Have the server notify."""
    postgres.sql(f"SELECT pg_notify('{channel}', '{payload}')")


def heard(worker: Worker, count: int) -> list[tuple[str, str]]:
    """Wait until so much was heard, and return it."""
    until(lambda: len(worker.do("return kept['heard']")) >= count, what="notifications")
    found = worker.do("return kept['heard']")
    assert isinstance(found, list)
    return found


LISTEN = """
    kept["heard"] = []
    kept["on"] = await kore.listen("db", {!r}, lambda *said: kept["heard"].append(said))
"""


def test_callback_gets_channel_and_payload(worker: Worker, postgres: Postgres) -> None:
    worker.do(LISTEN.format('Some "channel"'))
    notify(postgres, 'Some "channel"', "first ü")
    notify(postgres, "another", "not for us")
    notify(postgres, 'Some "channel"', "")

    assert heard(worker, 2) == [('Some "channel"', "first ü"), ('Some "channel"', "")]
    worker.do("kept['on'].close()")


def test_closed_subscription_is_not_called(worker: Worker, postgres: Postgres) -> None:
    worker.do(LISTEN.format("closed"))
    worker.do("""
        kept["on"].close()
        kept["other"] = await kore.listen("db", "open", lambda *said: kept["heard"].append(said))
    """)
    notify(postgres, "closed", "x")
    notify(postgres, "open", "y")

    assert heard(worker, 1) == [("open", "y")]
    worker.do("kept['other'].close()")
    channels = """SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%LISTEN%'
        AND pid <> pg_backend_pid()"""
    until(lambda: postgres.sql(channels) == "0", what="the end of the connection")


def test_callback_may_be_async_and_may_raise(worker: Worker, postgres: Postgres) -> None:
    worker.do("""
        kept["heard"] = []
        async def slowly(channel, payload):
            kept["heard"].append(await kore.dbquery("db", "SELECT $1 AS p", params=[payload]))
        def fails(channel, payload):
            raise LookupError("on purpose")
        kept["fails"] = kore.listen("db", "both", fails)
        kept["on"] = await kore.listen("db", "both", slowly)
    """)
    with worker.server.expecting("uncaught exception LookupError('on purpose') in the callback"):
        notify(postgres, "both", "x")
    assert heard(worker, 1) == [[{"p": "x"}]]
    worker.do("kept['on'].close(); kept['fails'].close()")


@pytest.mark.parametrize("channel", ["", "x" * 64, "a\0b", "\ud800", 5])
def test_invalid_channel_is_refused(worker: Worker, channel: object) -> None:
    with pytest.raises(Raised, match="is not a channel"):
        worker.do(f'kore.listen("db", {channel!r}, print)')


@pytest.mark.parametrize("callbacks", ["None", "'print'", "print, again=5"])
def test_callback_that_is_not_callable_is_refused(worker: Worker, callbacks: str) -> None:
    with pytest.raises(Raised, match=r"listen.*(must be callable|cannot call back)") as raised:
        worker.do(f'kore.listen("db", "x", {callbacks})')
    assert raised.value.kind == "TypeError"


def test_subscription_survives_a_restart_of_the_server(
    serve: Launcher, own_postgres: Postgres
) -> None:
    worker = Worker(serve(APP, DSN=own_postgres.dsn))
    worker.do("""
        kept["heard"], kept["again"] = [], 0
        def again():
            kept["again"] += 1
        kept["on"] = await kore.listen("db", "news", lambda *said: kept["heard"].append(said),
                                       again=again)
    """)
    own_postgres.stop()
    worker.log.wait("database 'db': ")
    own_postgres.start()
    until(lambda: worker.do("return kept['again']") == 1, what="listening again")
    notify(own_postgres, "news", "after")

    assert heard(worker, 1) == [("news", "after")]
    # Thrown out, and back again.
    own_postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )
    until(lambda: worker.do("return kept['again']") == 2, what="listening again")
    notify(own_postgres, "news", "later")
    assert heard(worker, 2)[1] == ("news", "later")


def test_channel_has_several_subscriptions(worker: Worker, postgres: Postgres) -> None:
    worker.do(LISTEN.format("shared"))
    code = 'kept["on2"] = await kore.listen("db", "shared", lambda *_: kept["heard"].append("2"))'
    worker.do(code)
    notify(postgres, "shared", "x")
    assert heard(worker, 2) == [("shared", "x"), "2"]
    worker.do("kept['on'].close(); kept['on2'].close()")

from kore._process.keymgr.ticket_keys import KEY_SIZE, ROTATION_SECONDS, TicketKeyring

NOW = 1_800_000_000.0


def test_the_first_key_is_made_at_once() -> None:
    ring = TicketKeyring()

    assert ring.rotate(NOW)
    assert [len(key) for key in ring.keys] == [KEY_SIZE]
    assert ring.made == NOW


def test_a_new_key_comes_first_and_three_are_kept() -> None:
    ring = TicketKeyring()
    made = []
    for number in range(4):
        assert ring.rotate(NOW + number * ROTATION_SECONDS)
        made.insert(0, ring.keys[0])

    assert ring.keys == tuple(made[:3])
    assert len(set(made)) == 4


def test_nothing_is_made_before_it_is_due() -> None:
    ring = TicketKeyring()
    ring.rotate(NOW)

    assert not ring.rotate(NOW)
    assert not ring.rotate(NOW + ROTATION_SECONDS - 1)
    assert len(ring.keys) == 1


def test_a_clock_that_was_set_back_does_not_keep_a_key() -> None:
    ring = TicketKeyring()
    ring.rotate(NOW)

    assert ring.rotate(NOW - 365 * 86400)
    assert len(ring.keys) == 2

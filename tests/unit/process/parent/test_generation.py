from kore._process.parent.generation import HEALTHY_AFTER, LONGEST_DELAY, Backoff, Generation


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def crashes(backoff: Backoff, count: int) -> list[float]:
    waits = []
    for _ in range(count):
        backoff.start()
        waits.append(backoff.wait())
    return waits


def test_first_restart_is_immediate_then_the_delay_doubles() -> None:
    assert crashes(Backoff(Clock()), 10) == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


def test_longer_life_shortens_the_delay() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    crashes(backoff, 5)
    backoff.start()
    clock.now += 1.0

    assert round(backoff.wait(), 6) == 0.6


def test_healthy_life_resets_the_delay() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    crashes(backoff, 20)
    backoff.start()
    clock.now += HEALTHY_AFTER

    assert backoff.wait() == 0
    backoff.start()
    assert round(backoff.wait(), 6) == 0.1


def test_delay_has_a_maximum() -> None:
    assert max(crashes(Backoff(Clock()), 1000)) == LONGEST_DELAY


def test_generation_without_a_configuration_has_defaults() -> None:
    generation = Generation()

    assert not generation.all_ready
    assert generation.workers == []
    assert generation.get_drain_timeout(patient=True) == 0
    assert generation.describe_activity(1) == "in no route"
    generation.close()

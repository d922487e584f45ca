"""Who is connected and in which groups, against a list of pairs."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kore._websocket.groups import Groups

members = st.integers(0, 5)
names = st.sampled_from(["", "lounge", "kitchen", "*"])


class Model(RuleBasedStateMachine):
    """The same twice: the real one, and the members and pairs that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: Groups[int] = Groups()
        self.here: list[int] = []
        self.pairs: list[tuple[str, int]] = []

    @rule(member=members)
    def enter(self, member: int) -> None:
        if member not in self.here:
            self.rooms.enter(member)
            self.here.append(member)

    @rule(member=members)
    def exit(self, member: int) -> None:
        self.rooms.exit(member)
        self.here = [one for one in self.here if one != member]
        self.pairs = [pair for pair in self.pairs if pair[1] != member]

    @rule(name=names, member=members)
    def join(self, name: str, member: int) -> None:
        assert self.rooms.join(name, member) is (member in self.here)
        if member in self.here and (name, member) not in self.pairs:
            self.pairs.append((name, member))

    @rule(name=names, member=members)
    def leave(self, name: str, member: int) -> None:
        assert self.rooms.leave(name, member) is ((name, member) in self.pairs)
        self.pairs = [pair for pair in self.pairs if pair != (name, member)]

    @invariant()
    def everybody_is_addressed_once_in_the_order_of_arrival(self) -> None:
        assert self.rooms.addressed(None) == self.here
        for name in ("", "lounge", "kitchen", "*"):
            assert self.rooms.addressed(name) == [m for n, m in self.pairs if n == name]

    @invariant()
    def members_know_their_groups(self) -> None:
        for member in range(6):
            assert self.rooms.joined(member) == {n for n, m in self.pairs if m == member}

    @invariant()
    def empty_groups_are_forgotten(self) -> None:
        assert set(self.rooms.rooms) == {name for name, _ in self.pairs}


TestRooms = Model.TestCase


@given(st.lists(members, unique=True, min_size=2))
def test_who_leaves_in_the_middle_of_a_broadcast_disturbs_nobody(everybody: list[int]) -> None:
    rooms: Groups[int] = Groups()
    for member in everybody:
        rooms.enter(member)
        rooms.join("lounge", member)
    told = []

    for member in rooms.addressed("lounge"):
        told.append(member)
        for one in everybody:
            rooms.exit(one)

    assert told == everybody
    assert rooms.addressed("lounge") == rooms.addressed(None) == []

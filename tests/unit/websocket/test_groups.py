"""Members and their groups, against a model that is a list of pairs."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kore._websocket.groups import Groups

members = st.integers(0, 5)
names = st.sampled_from(["", "lounge", "kitchen", "*"])


class Model(RuleBasedStateMachine):
    """The groups under test beside lists of members and of (group, member) pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: Groups[int] = Groups()
        self.here: list[int] = []
        self.pairs: list[tuple[str, int]] = []

    @rule(member=members)
    def add(self, member: int) -> None:
        if member not in self.here:
            self.groups.add(member)
            self.here.append(member)

    @rule(member=members)
    def remove(self, member: int) -> None:
        self.groups.remove(member)
        self.here = [one for one in self.here if one != member]
        self.pairs = [pair for pair in self.pairs if pair[1] != member]

    @rule(name=names, member=members)
    def join(self, name: str, member: int) -> None:
        assert self.groups.join(name, member) is (member in self.here)
        if member in self.here and (name, member) not in self.pairs:
            self.pairs.append((name, member))

    @rule(name=names, member=members)
    def leave(self, name: str, member: int) -> None:
        assert self.groups.leave(name, member) is ((name, member) in self.pairs)
        self.pairs = [pair for pair in self.pairs if pair != (name, member)]

    @invariant()
    def members_are_listed_once_in_the_order_of_arrival(self) -> None:
        assert self.groups.get_members(None) == self.here
        for name in ("", "lounge", "kitchen", "*"):
            assert self.groups.get_members(name) == [m for n, m in self.pairs if n == name]

    @invariant()
    def members_know_their_groups(self) -> None:
        for member in range(6):
            assert self.groups.get_groups(member) == {n for n, m in self.pairs if m == member}

    @invariant()
    def empty_groups_are_removed(self) -> None:
        assert set(self.groups.members_by_group) == {name for name, _ in self.pairs}


TestGroups = Model.TestCase


@given(st.lists(members, unique=True, min_size=2))
def test_members_may_leave_during_a_broadcast(arrivals: list[int]) -> None:
    groups: Groups[int] = Groups()
    for member in arrivals:
        groups.add(member)
        groups.join("lounge", member)
    told = []

    for member in groups.get_members("lounge"):
        told.append(member)
        for one in arrivals:
            groups.remove(one)

    assert told == arrivals
    assert groups.get_members("lounge") == groups.get_members(None) == []

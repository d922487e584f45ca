"""Who is connected, and in which groups. Pure."""

from collections.abc import Hashable
from typing import Generic, TypeVar

M = TypeVar("M", bound=Hashable)


class Groups(Generic[M]):
    """The members of a worker, and the groups that they have joined."""

    def __init__(self) -> None:
        # With the names of their groups, None for most. Dictionaries keep the order of arrival.
        self.members: dict[M, set[str] | None] = {}
        self.rooms: dict[str, dict[M, None]] = {}

    def enter(self, member: M) -> None:
        """Take in a member, who is in no group yet."""
        self.members[member] = None

    def exit(self, member: M) -> None:
        """Let go of a member, and of its groups."""
        for name in self.members.pop(member, None) or ():
            self._empty(name, member)

    def join(self, name: str, member: M) -> bool:
        """Put a member into a group. False: it is no member."""
        if member not in self.members:
            return False
        own = self.members[member]
        if own is None:
            own = self.members[member] = set()
        own.add(name)
        self.rooms.setdefault(name, {})[member] = None
        return True

    def leave(self, name: str, member: M) -> bool:
        """Take a member out of a group. False: it was not in it."""
        own = self.members.get(member)
        if not own or name not in own:
            return False
        own.discard(name)
        self._empty(name, member)
        return True

    def joined(self, member: M) -> frozenset[str]:
        """Return the groups of a member."""
        return frozenset(self.members.get(member) or ())

    def addressed(self, name: str | None) -> list[M]:
        """Return the members of a group, of all with None: a copy, whoever leaves meanwhile."""
        found = self.members if name is None else self.rooms.get(name, {})
        return list(found)

    def _empty(self, name: str, member: M) -> None:
        room = self.rooms[name]
        del room[member]
        if not room:
            del self.rooms[name]

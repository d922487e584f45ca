"""The open WebSockets of a worker, and the groups they have joined. Pure."""

from collections.abc import Hashable
from typing import Generic, TypeVar

M = TypeVar("M", bound=Hashable)


class Groups(Generic[M]):
    """Members, each in any number of named groups."""

    def __init__(self) -> None:
        # The names of each member's groups, None for most. Dictionaries keep the order of arrival.
        self.groups_by_member: dict[M, set[str] | None] = {}
        self.members_by_group: dict[str, dict[M, None]] = {}

    def add(self, member: M) -> None:
        """Add a member, which is in no group yet."""
        self.groups_by_member[member] = None

    def remove(self, member: M) -> None:
        """Remove a member from its groups and from here."""
        for name in self.groups_by_member.pop(member, None) or ():
            self._remove_from_group(name, member)

    def join(self, name: str, member: M) -> bool:
        """Add a member to a group; return False if it has been removed."""
        if member not in self.groups_by_member:
            return False
        names = self.groups_by_member[member]
        if names is None:
            names = self.groups_by_member[member] = set()
        names.add(name)
        self.members_by_group.setdefault(name, {})[member] = None
        return True

    def leave(self, name: str, member: M) -> bool:
        """Remove a member from a group; return False if it was not in it."""
        names = self.groups_by_member.get(member)
        if not names or name not in names:
            return False
        names.discard(name)
        self._remove_from_group(name, member)
        return True

    def get_groups(self, member: M) -> frozenset[str]:
        """Return the names of a member's groups."""
        return frozenset(self.groups_by_member.get(member) or ())

    def get_members(self, name: str | None) -> list[M]:
        """Return the members of a group, or all: a copy, since members may leave meanwhile."""
        found = self.groups_by_member if name is None else self.members_by_group.get(name, {})
        return list(found)

    def _remove_from_group(self, name: str, member: M) -> None:
        members = self.members_by_group[name]
        del members[member]
        if not members:
            del self.members_by_group[name]

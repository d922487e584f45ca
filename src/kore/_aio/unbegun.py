"""Coroutines that were made and will not be run."""

from collections.abc import Coroutine


def close_unbegun(awaitable: object) -> None:
    """Close a coroutine that may never have begun; one that has ended does not mind."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()

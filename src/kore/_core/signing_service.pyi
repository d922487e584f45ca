"""Signatures that the key process makes for workers; see signing_service.pyx."""

import socket
from collections.abc import Iterable

BURST: int
PAUSE_SECONDS: float

class SignatureRefusedError(Exception):
    """A signature that is not made, and why."""

class SigningKeys:
    """The private keys, by id."""

    def load_key(self, key_id: int, der: bytes, curve_hash: int) -> None: ...
    def remove_key(self, key_id: int) -> None: ...
    def sign(self, key_id: int, scheme: bytes, text: bytes) -> bytes: ...

class WorkerRequests:
    """A worker's channel for signatures."""

    key_ids: frozenset[int]
    refusal: str
    signed_count: int
    refused_count: int
    def __init__(self, sock: socket.socket, keys: SigningKeys, key_ids: Iterable[int]) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def serve(self) -> float | None: ...
    def advance_clock(self, milliseconds: int) -> None: ...

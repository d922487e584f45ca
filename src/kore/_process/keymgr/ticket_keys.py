"""Keys for session tickets of a server: made here, replaced by newer ones, never stored. Pure.

A ticket is encrypted with the newest key; the older ones read tickets that clients have from
before. All workers of a server have the same keys, so that any of them resumes a session.
"""

import secrets
from dataclasses import dataclass
from typing import Final

# Seconds until a new key is made; with three keys a ticket is good for 16 to 24 hours.
ROTATION_SECONDS: Final = 8 * 3600.0
KEPT: Final = 3
# 16 bytes of name, 32 for the HMAC, 32 for AES-256.
KEY_SIZE: Final = 80


@dataclass(slots=True)
class TicketKeyring:
    """The ticket keys of one server, newest first."""

    keys: tuple[bytes, ...] = ()
    # When the newest was made, in seconds since the epoch.
    made: float = 0.0

    def rotate(self, now: float) -> bool:
        """Make a new key if that is due at *now*. Returns whether it was."""
        # A clock that was set back must not keep a key for years.
        if self.keys and 0 <= now - self.made < ROTATION_SECONDS:
            return False
        self.keys = (secrets.token_bytes(KEY_SIZE), *self.keys)[:KEPT]
        self.made = now
        return True

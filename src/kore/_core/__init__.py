"""The core: bytes in, requests out. Imports nothing of the rest of kore."""

"""The seam between a transport and what speaks over it; see protocol.pyx."""

class Protocol:
    """What a transport expects of the protocol that runs on it."""

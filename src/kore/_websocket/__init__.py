"""WebSockets: the opening handshake, compression, groups, broadcasts between workers."""

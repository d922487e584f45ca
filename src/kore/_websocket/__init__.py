"""WebSockets: the handshake, compression, who is told what."""

"""The key process: it holds the private keys of the server, and signs for the workers."""

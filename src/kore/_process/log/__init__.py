"""The server's log: handlers in each process, formats, outputs, the parent's writer."""

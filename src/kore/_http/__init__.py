"""What HTTP means to an application. Pure Python, no I/O but files."""

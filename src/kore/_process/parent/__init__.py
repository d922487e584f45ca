"""The parent process: supervises templates and workers, owns sockets, logs and the pid file."""

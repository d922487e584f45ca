"""Access log lines of what a transport carried: nothing of it is for Python."""

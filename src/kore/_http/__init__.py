"""Routes, steps before handlers, parameters, bodies and files of requests. No I/O but files."""

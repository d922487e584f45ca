"""A worker process: event loop, request tasks, message bus."""

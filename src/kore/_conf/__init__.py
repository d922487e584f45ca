"""Text or calls in, a frozen configuration out. Pure: no socket, no event loop, no application."""

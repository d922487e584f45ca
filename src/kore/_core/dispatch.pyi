"""From a request's head to its handler; see dispatch.pyx. Nothing of it is for Python."""

"""Fields of a response; see response.pyx. Nothing of it is for Python."""

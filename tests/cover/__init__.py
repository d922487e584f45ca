"""Branch coverage of the Python code and line coverage of the core: `python -m tests.cover`."""

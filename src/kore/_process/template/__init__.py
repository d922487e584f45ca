"""The template process: loads the application and forks workers."""

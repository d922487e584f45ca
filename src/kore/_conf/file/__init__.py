"""The configuration file: syntax, directives, printer."""

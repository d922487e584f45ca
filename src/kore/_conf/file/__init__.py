"""The configuration file kore.conf: syntax, directives, printer."""

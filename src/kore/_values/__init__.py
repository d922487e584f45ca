"""Values that the configuration and requests have in common. Pure: text in, values out."""

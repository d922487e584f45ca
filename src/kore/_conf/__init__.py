"""The configuration, from calls and files to frozen values. Pure: nothing is opened or started."""

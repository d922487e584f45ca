"""An HTTP client, over libcurl."""

"""HTTP client: `kore.httpclient()` and `kore.curl()`, over libcurl."""

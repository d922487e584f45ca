"""Static files: from the path of a request to a file response."""

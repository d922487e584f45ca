"""Request bodies: storage, streams, forms, uploaded files."""

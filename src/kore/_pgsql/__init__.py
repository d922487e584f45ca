"""PostgreSQL client of a worker: libpq, through psycopg's thin binding, on the event loop."""

"""PostgreSQL: libpq, through psycopg's thin layer over it, on the event loop of a worker."""

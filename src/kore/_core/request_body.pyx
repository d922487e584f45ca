# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The body of a request, and what an application finds in head and body."""

cdef enum:
    READ_MAX = 1024     # bytes of one body_read(), as in Kore


cdef class RequestBody(Exchange):
    """Body, parameters, cookies and files of a request."""

    # ---- the body

    @property
    def body(self):
        """The whole body; empty when there was none. Nothing is left for body_read() then.

        Of one in a file, all of it is read into memory. Raises RuntimeError where no body is kept:
        on routes with `stream` or `on_body_chunk`.
        """
        cdef bytes whole = self.content
        if whole is None:
            whole = b"" if self.store is None else self.store.read(0, len(self.store))
        self.read_offset = len(whole)
        return whole

    @property
    def body_source(self):
        """Where the body is: bytes, or what reads its file; None when there was none."""
        return self.content if self.store is None else self.store

    def body_read(self, Py_ssize_t length):
        """Return the next piece of the body as (how many bytes, bytes); (0, b"") at its end."""
        cdef bytes piece = b""
        if length < 0:
            raise ValueError(f"cannot read {length} bytes")
        if length > READ_MAX:
            raise RuntimeError(f"len > sizeof(buf): read at most {READ_MAX} bytes at a time")
        if self.store is not None:
            piece = self.store.read(self.read_offset, length)
        elif self.content is not None:
            piece = self.content[self.read_offset:self.read_offset + length]
        self.read_offset += len(piece)
        return len(piece), piece

    @property
    def body_path(self):
        """The path of the file the body is in, or None for one in memory.

        The file gets its name when this is first asked for, and loses it when the request is over.
        """
        return None if self.store is None else self.store.path()

    @property
    def body_digest(self):
        """The SHA-256 of the body, 32 bytes."""
        return self.beside.digest(self)

    def chunks(self):
        """Return an async iterator over the body as it comes, on a route with `stream`.

        The client sends no faster than it is read. Raises RuntimeError on other routes. When the
        client leaves, is too slow or sends too much, the handler is cancelled.
        """
        if self.extras is None or not self.extras.stream:
            raise RuntimeError("chunks() is for routes with stream=True: this one has req.body")
        return self.store.chunks()

    # ---- parameters, cookies, files

    @property
    def beside(self):
        """Parameters, cookies and files. Made when first asked for, by a hook of the server."""
        if self.data is None and self.http.context is not None:
            self.data = self.http.context.make_request_data(self, self.route)
        return self.data

    @property
    def query(self):
        """The query as {name: [value, ...]}, decoded and not validated."""
        return self.beside.query(self)

    def argument(self, str name not None):
        """Return the first accepted value of a declared parameter, or None."""
        return self.beside.argument(name)

    def arguments(self):
        """Return all accepted values as {name: [value, ...]}."""
        return self.beside.arguments()

    def populate_get(self):
        """Let argument() see what the query holds."""
        return self.beside.populate_get(self)

    def populate_post(self):
        """Let argument() see what a form in the body holds."""
        return self.beside.populate_post(self)

    def populate_multi(self):
        """Let argument() and file_lookup() see what a multipart form in the body holds."""
        return self.beside.populate_multi(self)

    populate_multipart = populate_multi

    def populate_cookies(self):
        """Do nothing: cookie() needs no preparation. It is there for those who call it."""
        return True

    def cookie(self, str name not None):
        """Return the first cookie of exactly that name, as it was sent, or None."""
        return self.beside.cookies(self).get(name)

    def cookies(self):
        """Return all cookies by name; of several of one name the first."""
        return dict(self.beside.cookies(self))

    def file_lookup(self, str name not None):
        """Return the first file a multipart form has under that name, or None."""
        return self.beside.file_lookup(name)

    def files(self):
        """Return all files of a multipart form as {name: [file, ...]}."""
        return self.beside.all_files()

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Make the first protocol of each connection of a listener: at once, or after its TLS handshake."""


cdef class FirstProtocol:
    """What a listener's connections speak, and what finds the routes of their requests.

    *make_other(resolve, access_log)* makes another protocol than HTTP/1.
    """

    def __init__(self, resolve, AccessLog access_log=None, make_other=None):
        self.resolve = resolve
        self.access_log = access_log
        self.make_other = make_other

    cdef Protocol make(self):
        """Return the protocol of a new connection."""
        if self.make_other is not None:
            return self.make_other(self.resolve, self.access_log)
        return self.make_http1()

    cdef Http1 make_http1(self):
        """Return HTTP/1 for a new connection."""
        cdef Http1 http = Http1.__new__(Http1)
        http.resolve = self.resolve
        http.access_log = self.access_log
        return http

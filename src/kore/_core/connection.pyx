# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A client's connection, as applications see it. `kore.connection` in Kore's words."""

from kore._core.buffer cimport buffered_size
from kore._core.libc cimport AF_INET, AF_INET6, inet_ntop, sockaddr, sockaddr_in
from kore._core.lifecycle cimport NEW_MS
from kore._core.receiver cimport FINISHING, HEADING, IDLE, LINGERING, UPGRADED
from kore._core.request cimport Request
from kore._core.websocket cimport WebSocket

cdef enum:
    ESTABLISHED = 2     # CONN_STATE_
    DISCONNECTING = 3
    PROTO_HTTP = 1      # CONN_PROTO_
    PROTO_WEBSOCKET = 2


cdef class Connection(Lifecycle):
    """A client's connection. `kore.connection` in Kore's words."""

    def __init__(self):
        raise TypeError("cannot create 'kore.connection' instances")

    @property
    def fd(self):
        """The descriptor, -1 when the connection is closed."""
        return -1 if self.closed else self.handle

    @property
    def addr(self):
        """The client's IP address; for a Unix socket, which has none, `-`."""
        cdef char text[64]
        cdef const void *where = &self.address.sin6_addr
        cdef int family = (<sockaddr *>&self.address).sa_family
        if family == AF_INET:
            where = &(<sockaddr_in *>&self.address).sin_addr
        elif family != AF_INET6:
            return "-"
        inet_ntop(family, where, text, sizeof(text))
        return text.decode()

    @property
    def state(self):
        """CONN_STATE_ESTABLISHED, or CONN_STATE_DISCONNECTING from the beginning of the end."""
        cdef bint ends = self.stage == FINISHING or self.stage == LINGERING
        if self.closed or ends or (self.socket is not None and self.socket.phase):
            return DISCONNECTING
        return ESTABLISHED

    @property
    def proto(self):
        """CONN_PROTO_HTTP, or CONN_PROTO_WEBSOCKET after the handshake."""
        return PROTO_HTTP if self.socket is None else PROTO_WEBSOCKET

    @property
    def x509(self):
        """The client's certificate as DER, or None."""
        return None

    @property
    def x509dict(self):
        """Issuer and subject of the client's certificate, or None."""
        return None

    def disconnect(self, code=1000, reason=""):
        """Close the connection; False: it is closed already. Of HTTP the answer so far is sent.

        A WebSocket's client is told why, by a *code* and a *reason* of at most 123 bytes, and
        `ondisconnect` is called first. Raises ValueError for a code that cannot be sent.
        """
        if self.closed or self.parting:
            return False
        self.poller.mine("disconnect()")
        if self.socket is not None:
            return self.socket.disconnect(code, reason)
        self.part()
        return True

    def __repr__(self):
        return f"<kore.connection {self.addr} fd {self.fd}>"

    # ---- a WebSocket

    def websocket_send(self, op, data):
        """Send a message: str or bytes, the op says as what.

        Returns False when the connection is closed or about to be. Raises TypeError for a
        connection without a handshake, for another op, for other data; ValueError for a text that
        is not UTF-8; BufferError for a client that does not read, where the route asked for that.
        """
        if self.socket is None:
            raise TypeError("not a websocket connection")
        return self.socket.send(op, data)

    @property
    def buffered(self):
        """How many bytes wait until the client reads."""
        return self.waiting() if self.socket is None or self.closed else self.socket.buffered()

    def drained(self):
        """Return an awaitable: True when all that waits is sent, False when it never will be."""
        return self.when_sent()

    @property
    def subprotocol(self):
        """The sub-protocol that was agreed on with a WebSocket's client, or None."""
        return None if self.socket is None else self.socket.protocol

    @property
    def close_code(self):
        """Why the WebSocket is closed: a code of RFC 6455 section 7.4, None while it is not."""
        return None if self.socket is None or not self.socket.code else self.socket.code

    @property
    def close_reason(self):
        """The reason that came with that code; mostly empty."""
        return None if self.socket is None or not self.socket.code else self.socket.reason

    @property
    def rooms(self):
        """The names of the groups that it has joined."""
        return self.service.hub.rooms.joined(self)

    def join(self, str room not None):
        """Become part of a group, which websocket_broadcast() can address. False: it is closed."""
        if self.socket is None:
            raise TypeError("not a websocket connection")
        return self.state == ESTABLISHED and self.service.hub.rooms.join(room, self)

    def leave(self, str room not None):
        """Be no part of a group any more. False: it was none."""
        return self.service.hub.rooms.leave(room, self)

    cdef bint handshake(self, Request request, tuple callbacks, dict options) except -1:
        return self.service.hub.handshake(request, request.route, callbacks, options)

    cdef bint upgrade(self, Request request, object options, tuple callbacks,
                      object deflater, object protocol) except -1:
        """Answer 101, and speak no HTTP any more."""
        cdef WebSocket socket = WebSocket.__new__(WebSocket)
        cdef object onconnect
        onconnect, socket.onmsg, socket.ondisconnect = callbacks
        socket.peer = self
        socket.options = options
        socket.deflater = deflater
        socket.protocol = protocol
        socket.begin()
        cdef list fields = request.fields or []
        if request.opened or not self.serves(request):      # code that was called has answered it
            return False
        request.opens = self.queued()
        self.service.writer.write_upgrade(&self.outbox, &self.poller.pool, fields)
        request.answered = request.opened = True
        request.status = 101
        request.heads = socket.before = self.queued()
        self.stage = UPGRADED
        self.socket = socket
        cdef object sink = self.take_sink()
        self.conclude(request)
        self.over(request, sink)
        socket.open(onconnect)
        if buffered_size(&self.inbox) and not self.advancing:
            self.service.defer(self.resume)     # what it said too early, before its end perhaps
        else:
            self.settle()
        return True

    # ---- room for others

    cdef int64_t idle_since(self) noexcept:
        """Return since when nothing has come; 0 while something is in progress."""
        cdef int64_t since = self.limit - self.service.header_ms
        if self.closed or self.stage > HEADING or self.blocked or self.yields or self.waiting():
            return 0
        if self.stage == IDLE and self.received:
            return max(self.limit - self.service.idle_ms, 1)
        # A head that does not come, or not on: that is no request yet.
        return since if since + NEW_MS <= self.poller.now() else 0

    cdef int make_way(self, int64_t since) except -1:
        """Close for another client, unless a request has just come."""
        self.read()
        self.advance()
        return self.shut() if self.idle_since() == since else 0

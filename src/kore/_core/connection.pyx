# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A client's connection, as applications see it. `kore.connection` in Kore's words.

It refers to a transport and its protocol, and is created when an application first uses it.
"""

from libc.string cimport memset

from kore._core.libc cimport (
    AF_INET, AF_INET6, getsockname, inet_ntop, ntohs, sockaddr, sockaddr_in, sockaddr_in6,
    socklen_t)
from kore._core.protocol cimport Protocol

cdef enum:
    ESTABLISHED = 2     # CONN_STATE_
    DISCONNECTING = 3
    PROTO_HTTP = 1      # CONN_PROTO_
    PROTO_WEBSOCKET = 2


cdef tuple format_address(sockaddr_in6 *address):
    """Return an IP address and a port, or None for another kind of address."""
    cdef char text[64]
    cdef const void *host = &address.sin6_addr
    cdef int family = (<sockaddr *>address).sa_family
    if family == AF_INET:
        host = &(<sockaddr_in *>address).sin_addr
    elif family != AF_INET6:
        return None
    inet_ntop(family, host, text, sizeof(text))
    return text.decode(), ntohs((<sockaddr_in *>address).sin_port)     # at the same place in both


cdef Transport UNCONNECTED = Transport.__new__(Transport)


cdef class Connection:
    """A client's connection. `kore.connection` in Kore's words."""

    def __cinit__(self):
        self.transport = UNCONNECTED

    def __init__(self):
        raise TypeError("cannot create 'kore.connection' instances")

    @property
    def fd(self):
        """The descriptor, -1 when the connection is closed."""
        return -1 if self.transport.closed else self.transport.fd

    @property
    def addr(self):
        """The client's IP address; for a Unix socket, which has none, `-`."""
        address = format_address(&self.transport.address)
        return "-" if address is None else address[0]

    @property
    def client_address(self):
        """The client's IP address and port; None for a Unix socket."""
        return format_address(&self.transport.address)

    @property
    def local_address(self):
        """The IP address and port that the client is connected to; None for a Unix socket."""
        cdef sockaddr_in6 address
        cdef socklen_t size = sizeof(address)
        memset(&address, 0, sizeof(address))
        if self.transport.closed or getsockname(
                self.transport.fd, <sockaddr *>&address, &size) < 0:
            return None
        return format_address(&address)

    @property
    def state(self):
        """CONN_STATE_ESTABLISHED, or CONN_STATE_DISCONNECTING once it is being closed."""
        if self.transport.is_closing() or (
                self.websocket is not None and self.websocket.phase):
            return DISCONNECTING
        return ESTABLISHED

    @property
    def proto(self):
        """CONN_PROTO_HTTP, or CONN_PROTO_WEBSOCKET after the handshake."""
        return PROTO_HTTP if self.websocket is None else PROTO_WEBSOCKET

    @property
    def x509(self):
        """The client's certificate as DER, or None."""
        return None if self.transport.tls is None else self.transport.tls.get_peer_certificate()

    @property
    def x509dict(self):
        """Issuer and subject of the client's certificate, or None.

        `{"issuer": {...}, "subject": {...}}`, with OpenSSL's short names: `CN`, `O`.
        """
        return None if self.transport.tls is None else self.transport.tls.get_peer_names()

    def disconnect(self, code=1000, reason=""):
        """Close the connection; False: it is closed already. Of HTTP the response so far is sent.

        A WebSocket's client is told why, by a *code* and a *reason* of at most 123 bytes, and
        `ondisconnect` is called first. Raises ValueError for a code that cannot be sent.
        """
        cdef Protocol protocol = self.transport.protocol
        if self.transport.closed or self.disconnecting:
            return False
        self.transport.poller.check_thread("disconnect()")
        if self.websocket is not None:
            return self.websocket.disconnect(code, reason)
        self.disconnecting = True
        protocol.on_disconnect()
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
        if self.websocket is None:
            raise TypeError("not a websocket connection")
        return self.websocket.send(op, data)

    @property
    def buffered(self):
        """How many bytes wait until the client reads."""
        if self.websocket is None or self.transport.closed:
            return self.transport.pending_size()
        return self.websocket.buffered()

    def drained(self):
        """Return an awaitable: True when all that waits is sent, False when it never will be."""
        return self.transport.when_sent()

    @property
    def subprotocol(self):
        """The sub-protocol that was agreed on with a WebSocket's client, or None."""
        return None if self.websocket is None else self.websocket.subprotocol

    @property
    def close_code(self):
        """The close code of a WebSocket, RFC 6455 section 7.4; None while it is open."""
        return None if self.websocket is None or not self.websocket.code else self.websocket.code

    @property
    def close_reason(self):
        """The reason of the close frame; often empty."""
        return None if self.websocket is None or not self.websocket.code else self.websocket.reason

    @property
    def rooms(self):
        """The names of the groups that it has joined."""
        return self.transport.context.websockets.groups.get_groups(self)

    def join(self, str room not None):
        """Join a group, which websocket_broadcast() can address. False: it is closed."""
        if self.websocket is None:
            raise TypeError("not a websocket connection")
        return (self.state == ESTABLISHED
                and self.transport.context.websockets.groups.join(room, self))

    def leave(self, str room not None):
        """Leave a group. False: it was not in that group."""
        return self.transport.context.websockets.groups.leave(room, self)

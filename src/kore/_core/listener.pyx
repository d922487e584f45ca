# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Accept connections, as many as the worker may have."""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EPERM, EPROTO, errno
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

from kore._core.libc cimport close as close_fd
from kore._core.libc cimport (
    AF_INET, AF_INET6, EPOLLERR, EPOLLHUP, EPOLLIN, IN6_IS_ADDR_V4MAPPED, SOCK_CLOEXEC,
    SOCK_NONBLOCK, accept4, sockaddr, sockaddr_in, sockaddr_in6, socklen_t)
from kore._core.poller cimport Poller
from kore._core.tls_handshake cimport make_handshake

import logging
import os
from operator import itemgetter

log = logging.getLogger("kore")

cdef enum:
    WARN_INTERVAL_MS = 60000    # between two warnings that the worker, or an address, is full
    BACK_OFF_MS = 500           # before accepting again when the system has no descriptors left


cdef void unmap(sockaddr_in6 *address) noexcept nogil:
    # A client of an IPv6 socket that connects over IPv4 (RFC 4291 2.5.5.2) gets its IPv4 address.
    cdef sockaddr_in plain
    if (<sockaddr *>address).sa_family != AF_INET6:
        return
    if not IN6_IS_ADDR_V4MAPPED(&address.sin6_addr):
        return
    memset(&plain, 0, sizeof(plain))
    plain.sin_family = AF_INET
    plain.sin_port = address.sin6_port
    memcpy(&plain.sin_addr, &address.sin6_addr.s6_addr[12], sizeof(plain.sin_addr))
    memcpy(address, &plain, sizeof(plain))


cdef class Listener(PollSource):
    """A listening socket. *protocol* makes the first protocol of each connection.

    *tls* has each begin with a TLS handshake.
    """

    def __init__(self, Poller poller not None, ServerContext context not None, sock,
                 FirstProtocol protocol not None, *, TlsFactory tls=None):
        if self.context is not None:
            raise RuntimeError("a listener begins once")
        if context.listeners is None:
            raise ValueError("a context that was never set up")
        self.is_listener = True
        self.context = context
        self.protocol = protocol
        self.tls = tls
        self.failures = HandshakeLog()
        # A descriptor of our own: it is closed like that of any other source.
        self.attach(poller, os.dup(sock.fileno()))
        context.listeners.append(self)
        self.resume()

    def resume(self):
        """Accept connections again, unless the worker is full."""
        if not self.closed and not self.context.full:
            self.watch(EPOLLIN)

    cdef int on_event(self, uint32_t events) except -1:
        cdef int _turn
        if events & (EPOLLERR | EPOLLHUP):      # shut down: it would be reported for ever
            log.error("fd %d: the listening socket is gone", self.fd)
            return self.close()
        try:
            for _turn in range(self.context.limits.accept_limit):
                if self.context.full:
                    if _turn:               # the next event tells whether another client waits
                        return 0
                    return 0 if self.make_room() else self.back_off()
                if self.accept() < 0:
                    return 0
        except Exception:       # other clients still wait to be accepted
            log.exception("cannot accept a client")
            self.back_off()
        return 0

    cdef int accept(self) except -2:
        """Accept one client; return 0, or -1 if none waits."""
        cdef Transport client = Transport.__new__(Transport)
        cdef socklen_t size = sizeof(client.address)
        cdef int fd = accept4(self.fd, <sockaddr *>&client.address, &size,
                              SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            unmap(&client.address)
            return self.admit(client, fd)
        if errno in (EINTR, ECONNABORTED, EPROTO, EPERM):   # an error of that client alone
            return 0
        if errno != EAGAIN:
            log.error("cannot accept clients: %s; trying again soon", os.strerror(errno))
            self.back_off()
        return -1

    cdef int admit(self, Transport client, int fd) except -2:
        cdef Protocol protocol
        if self.context.limits.network_limit and not self.count_network(client):
            close_fd(fd)
            return 0
        try:
            if self.tls is None:
                protocol = self.protocol.make()
            else:
                protocol = self.begin_tls(client, fd)
            client.open(self.poller, self.context, fd, protocol)
        except Exception:       # no watches or memory left: others are served
            if client.fd < 0:
                close_fd(fd)
            client.close()
            log.exception("cannot serve another client")
            self.back_off()
            return -1
        return 0

    cdef Protocol begin_tls(self, Transport client, int fd):
        """Give a client its TLS; return the protocol that it has during the handshake."""
        client.tls = self.tls.make_layer(fd)
        return make_handshake(self.protocol, self.failures)

    cdef bint make_room(self) except -1:
        """Close the connection that is idle longest; return False if none is idle.

        Its descriptor is free when this batch is over. The idle connections that were found are
        kept: none of them became idle after one that is not among them, so that all connections
        have to be looked at rarely.
        """
        cdef Transport client
        if not self.idle:
            self.idle = self.find_idle()
        while self.idle:
            since, client = self.idle.pop()
            if client.idle_since() == since:
                client.make_room(since)
                if client.closed:
                    self.warn("closing idle connections: this worker has as many as it may have "
                              "(worker_max_connections %d)", self.context.limits.connection_limit)
                    return True
        return False

    cdef list find_idle(self):
        cdef list found = []
        for source in self.poller.sources.values():
            if isinstance(source, Transport):
                since = (<Transport>source).idle_since()
                if since:
                    found.append((since, source))
        found.sort(key=itemgetter(0), reverse=True)
        return found

    cdef bint count_network(self, Transport client) except -1:
        """Count a client by its address; with IPv6 by its network, because a host owns a /64."""
        cdef int family = (<sockaddr *>&client.address).sa_family
        cdef bytes network
        if family == AF_INET:
            network = (<char *>&(<sockaddr_in *>&client.address).sin_addr)[:4]
        elif family == AF_INET6:
            network = (<char *>&client.address.sin6_addr)[:8]
        else:
            return True
        if not self.context.add_network(network):
            self.warn("refusing connections of an address that has as many as it may have "
                      "(worker_max_connections_per_address %d)", self.context.limits.network_limit)
            return False
        client.network = network
        return True

    cdef int warn(self, str text, object number) except -1:
        """Log a warning that may apply to every client, at most once a minute."""
        cdef int64_t now = self.poller.now()
        if not self.warned_at or now >= self.warned_at + WARN_INTERVAL_MS:
            self.warned_at = now
            log.warning(text, number)
        return 0

    cdef int back_off(self) except -1:
        """Accept nothing for a moment."""
        self.deadline = self.poller.now() + BACK_OFF_MS
        return self.watch(0)

    cdef int on_deadline(self) except -1:
        self.deadline = 0
        return self.watch(EPOLLIN)

    cdef int on_drain(self, bint patient, bint accept) except -1:
        # Clients in the kernel's queue are served here, unless another process takes over.
        while accept and self.accept() == 0:
            pass
        return self.close()

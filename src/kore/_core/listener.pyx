# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Accept clients, as many as the worker may have."""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EPERM, EPROTO, errno
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

from kore._core.libc cimport (
    close, AF_INET, AF_INET6, EPOLLERR, EPOLLHUP, EPOLLIN, IN6_IS_ADDR_V4MAPPED, SOCK_CLOEXEC,
    SOCK_NONBLOCK, accept4, sockaddr, sockaddr_in, sockaddr_in6, socklen_t)
from kore._core.poller cimport Poller

import logging
import os
from operator import itemgetter

log = logging.getLogger("kore")

cdef enum:
    SAID_MS = 60000     # before it is said again that the worker, or an address, is full
    REST_MS = 500       # before accepting is tried again when the system has no descriptors left


cdef void unmap(sockaddr_in6 *address) noexcept nogil:
    # A client of an IPv6 socket that came over IPv4 (RFC 4291 2.5.5.2) gets its IPv4 address.
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


cdef class Listener(Source):
    """A listening socket; *resolve* finds the route of a request that came through it.

    *access_log* is for what no domain can be found for.
    """

    def __init__(self, Poller poller not None, Service service not None, sock, resolve,
                 AccessLog access_log=None):
        if self.service is not None:
            raise RuntimeError("a listener begins once")
        if service.listeners is None:
            raise ValueError("a service that was never set up")
        self.is_listener = True
        self.service = service
        self.access_log = access_log
        self.resolve = resolve
        # A descriptor of our own, closed like every source's.
        self.attach(poller, os.dup(sock.fileno()))
        service.listeners.append(self)
        self.resume()

    def resume(self):
        """Accept again."""
        if not self.closed and not self.service.full:
            self.watch(EPOLLIN)

    cdef int on_event(self, uint32_t events) except -1:
        cdef int _turn
        if events & (EPOLLERR | EPOLLHUP):      # somebody shut it down: it would say so for ever
            log.error("fd %d: the listening socket is gone", self.handle)
            return self.shut()
        try:
            for _turn in range(self.service.burst):
                if self.service.full:
                    if _turn:               # whether another one waits, the next event will say
                        return 0
                    return 0 if self.make_room() else self.rest()
                if self.accept() < 0:
                    return 0
        except Exception:       # the other clients still want to be let in
            log.exception("cannot accept a client")
            self.rest()
        return 0

    cdef int accept(self) except -2:
        """Take one client: 0, or -1 when there is none."""
        cdef Connection client = Connection.__new__(Connection)
        cdef socklen_t size = sizeof(client.address)
        cdef int handle = accept4(self.handle, <sockaddr *>&client.address, &size,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC)
        if handle >= 0:
            unmap(&client.address)
            return self.admit(client, handle)
        if errno in (EINTR, ECONNABORTED, EPROTO, EPERM):   # that client's trouble, not ours
            return 0
        if errno != EAGAIN:
            log.error("cannot accept clients: %s; trying again soon", os.strerror(errno))
            self.rest()
        return -1

    cdef int admit(self, Connection client, int handle) except -2:
        client.access_log = self.access_log
        if self.service.network_limit and not self.may_enter(client):
            close(handle)
            return 0
        try:
            client.open(self.poller, self.service, self.resolve, handle)
        except (OSError, MemoryError):      # no more watches, no more memory: others go on
            client.shut()
            log.exception("cannot serve another client")
            self.rest()
            return -1
        return 0

    cdef bint make_room(self) except -1:
        """Close the connection that is idle longest; False: none is idle.

        The room is there when this batch is over. Those that are found are kept: none of them
        became idle after one that is not among them, so looking at all is rarely necessary.
        """
        cdef Connection client
        if not self.idle:
            self.idle = self.find_idle()
        while self.idle:
            since, client = self.idle.pop()
            if client.idle_since() == since:
                client.make_way(since)
                if client.closed:
                    self.say("closing idle connections: this worker has as many as it may have "
                             "(worker_max_connections %d)", self.service.connection_limit)
                    return True
        return False

    cdef list find_idle(self):
        cdef list found = []
        for source in self.poller.sources.values():
            if isinstance(source, Connection):
                since = (<Connection>source).idle_since()
                if since:
                    found.append((since, source))
        found.sort(key=itemgetter(0), reverse=True)
        return found

    cdef bint may_enter(self, Connection client) except -1:
        """Count a client by its address; of IPv6 by its network, for a host has all of a /64."""
        cdef int family = (<sockaddr *>&client.address).sa_family
        cdef bytes network
        if family == AF_INET:
            network = (<char *>&(<sockaddr_in *>&client.address).sin_addr)[:4]
        elif family == AF_INET6:
            network = (<char *>&client.address.sin6_addr)[:8]
        else:
            return True
        if not self.service.enters_network(network):
            self.say("refusing connections of an address that has as many as it may have "
                     "(worker_max_connections_per_address %d)", self.service.network_limit)
            return False
        client.network = network
        return True

    cdef int say(self, str text, object number) except -1:
        """Log something that may happen for every client, at most once in a while."""
        cdef int64_t now = self.poller.now()
        if not self.said or now >= self.said + SAID_MS:
            self.said = now
            log.warning(text, number)
        return 0

    cdef int rest(self) except -1:
        self.deadline = self.poller.now() + REST_MS
        return self.watch(0)

    cdef int on_deadline(self) except -1:
        self.deadline = 0
        return self.watch(EPOLLIN)

    cdef int on_drain(self, bint patient, bint accept) except -1:
        # Who was let in by the kernel is served here, unless another process takes them over.
        while accept and self.accept() == 0:
            pass
        return self.shut()

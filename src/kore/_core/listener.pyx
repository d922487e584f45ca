# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Accept clients, as many as the worker may have."""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EPERM, EPROTO, errno
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from kore._core.libc cimport (
    AF_INET, AF_INET6, EPOLLERR, EPOLLHUP, EPOLLIN, IN6_IS_ADDR_V4MAPPED, SOCK_CLOEXEC,
    SOCK_NONBLOCK, accept4, sockaddr, sockaddr_in, sockaddr_in6, socklen_t)
from kore._core.poller cimport Poller

import logging
import os

log = logging.getLogger("kore")

cdef enum:
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

    *journal* is for what no domain can be found for.
    """

    def __init__(self, Poller poller not None, Service service not None, sock, resolve,
                 Journal journal=None):
        if self.service is not None:
            raise RuntimeError("a listener begins once")
        if service.listeners is None:
            raise ValueError("a service that was never set up")
        self.service = service
        self.journal = journal
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
                    return self.watch(0)
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
        client.journal = self.journal
        try:
            client.open(self.poller, self.service, self.resolve, handle)
        except (OSError, MemoryError):      # no more watches, no more memory: others go on
            client.shut()
            log.exception("cannot serve another client")
            self.rest()
            return -1
        return 0

    cdef int rest(self) except -1:
        self.deadline = self.poller.now() + REST_MS
        return self.watch(0)

    cdef int on_deadline(self) except -1:
        self.deadline = 0
        self.resume()
        return 0

    cdef int on_drain(self, bint patient, bint accept) except -1:
        # Who was let in by the kernel is served here, unless another process takes them over.
        while accept and self.accept() == 0:
            pass
        return self.shut()

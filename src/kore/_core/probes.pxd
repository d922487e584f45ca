"""TCP keep-alive probes for half-closed clients that are known to wait.

Linux keeps an abandoned connection for 60 s (tcp_fin_timeout), and answers probes with a reset
afterwards.
"""

from kore._core.libc cimport (
    IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, setsockopt)

cdef enum:
    PROBE_SECONDS = 15
    PROBES = 4


cdef inline int set_option(int handle, int level, int option, int number) noexcept:
    return setsockopt(handle, level, option, &number, sizeof(number))


cdef inline void enable_keepalive_probes(int handle) noexcept:
    """Have TCP find out when the client's system has forgotten the connection."""
    set_option(handle, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_SECONDS)
    set_option(handle, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECONDS)
    set_option(handle, IPPROTO_TCP, TCP_KEEPCNT, PROBES)
    set_option(handle, SOL_SOCKET, SO_KEEPALIVE, 1)

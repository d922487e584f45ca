"""Declarations of the functions, structs and constants of the C library that the core uses."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    ctypedef int clockid_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    struct tm:
        int tm_sec
        int tm_min
        int tm_hour
        int tm_mday
        int tm_mon
        int tm_year
        int tm_wday
        long tm_gmtoff
    struct itimerspec:
        timespec it_interval
        timespec it_value
    clockid_t CLOCK_MONOTONIC
    clockid_t CLOCK_MONOTONIC_COARSE
    clockid_t CLOCK_REALTIME_COARSE
    int clock_gettime(clockid_t clock, timespec *now)
    time_t time(time_t *now)
    tm *gmtime_r(const time_t *when, tm *fields)
    tm *localtime_r(const time_t *when, tm *fields)
    void tzset()


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    uint32_t EPOLLIN
    uint32_t EPOLLOUT
    uint32_t EPOLLERR
    uint32_t EPOLLHUP
    uint32_t EPOLLRDHUP
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_MOD
    int EPOLL_CTL_DEL
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int most, int timeout)


cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_CLOEXEC
    int TFD_NONBLOCK
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before)


cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, ...)


cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ      # number of bytes that the peer has not acknowledged


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    struct linger:
        int l_onoff
        int l_linger
    int SOL_SOCKET
    int SO_LINGER
    int SO_KEEPALIVE
    int AF_INET
    int AF_INET6
    int AF_UNIX
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int MSG_MORE
    int MSG_PEEK
    int SHUT_WR
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC
    int accept4(int fd, sockaddr *address, socklen_t *size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr *address, socklen_t *size)
    int setsockopt(int fd, int level, int option, const void *value, socklen_t size)


cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_KEEPIDLE
    int TCP_KEEPINTVL
    int TCP_KEEPCNT


cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP
    struct in_addr:
        pass
    struct in6_addr:
        uint8_t *s6_addr
    struct sockaddr_in:
        uint16_t sin_family
        in_addr sin_addr
        uint16_t sin_port
    struct sockaddr_in6:
        in6_addr sin6_addr
        uint16_t sin6_port
    bint IN6_IS_ADDR_V4MAPPED(const in6_addr *address)


cdef extern from "<arpa/inet.h>" nogil:
    int INET6_ADDRSTRLEN
    uint16_t ntohs(uint16_t number)
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)
    int inet_pton(int family, const char *text, void *address)


cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    ssize_t read(int fd, void *data, size_t size)
    ssize_t write(int fd, const void *data, size_t size)
    ssize_t pread(int fd, void *data, size_t size, int64_t at)


cdef extern from *:
    """
    #include <string.h>
    """
    void *memrchr(const void *data, int byte, size_t size) nogil


cdef extern from "<sys/sendfile.h>" nogil:
    ssize_t sendfile(int to, int fd, int64_t *at, size_t size)


cdef extern from "<sys/stat.h>" nogil:
    struct stat_t "stat":
        uint32_t st_mode
        uint64_t st_ino
        unsigned long st_nlink
        int64_t st_size
        timespec st_mtim
    int fstat(int fd, stat_t *about)
    bint S_ISREG(uint32_t mode)
    bint S_ISDIR(uint32_t mode)


cdef extern from "<fcntl.h>" nogil:
    int AT_FDCWD
    int O_RDONLY
    int O_CLOEXEC
    int O_DIRECTORY
    int O_NOCTTY
    int O_NOFOLLOW
    int O_NONBLOCK
    int openat(int directory, const char *name, int flags)


cdef inline int64_t monotonic_ms() noexcept nogil:
    """Return milliseconds on a monotonic clock, as of the latest timer tick (1 to 10 ms ago)."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000

"""Growable bytes, and the pool they come from.

A connection owns memory only while it holds bytes: it borrows a block when something arrives or
must leave, and gives it back when the block is empty. Ten thousand idle connections hold none.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove


cdef enum:
    BLOCK = 16384       # what one read takes: the kernel's usual socket buffer, in four pages
    SPARE = 64          # blocks that wait for their next user, most recently used (cached) first
    WIDE = 65536        # what one read takes where large messages come: a few of them, whole


cdef struct Pool:
    char *spare[SPARE]
    int count
    char *wide          # one is enough: who uses it hardly ever keeps it


cdef struct Buffer:
    char *data
    size_t start        # first byte that is still wanted
    size_t end          # one past the last byte
    size_t room         # bytes allocated, 0 when nothing is borrowed


cdef inline size_t held(Buffer *buffer) noexcept nogil:
    """Return how many bytes wait in *buffer*."""
    return buffer.end - buffer.start


cdef inline int borrow(Buffer *buffer, Pool *pool) except -1:
    """Give *buffer* a block, unless it has one."""
    if buffer.room:
        return 0
    if pool.count:
        pool.count -= 1
        buffer.data = pool.spare[pool.count]
    else:
        buffer.data = <char *>malloc(BLOCK)
        if buffer.data == NULL:
            raise MemoryError
    buffer.room = BLOCK
    buffer.start = buffer.end = 0
    return 0


cdef inline int borrow_wide(Buffer *buffer, Pool *pool) except -1:
    """Give *buffer* much room, unless it has some; `narrow` follows when it has been worked on."""
    if buffer.room:
        return 0
    buffer.data = pool.wide if pool.wide != NULL else <char *>malloc(WIDE)
    if buffer.data == NULL:
        raise MemoryError
    pool.wide = NULL
    buffer.room = WIDE
    buffer.start = buffer.end = 0
    return 0


cdef inline int narrow(Buffer *buffer, Pool *pool) except -1:
    """Keep what little there is in an ordinary block."""
    cdef Buffer wide = buffer[0]
    if wide.room != WIDE or held(&wide) > BLOCK:
        return 0
    buffer.room = 0
    borrow(buffer, pool)
    append(buffer, wide.data + wide.start, held(&wide), pool)
    give_back(&wide, pool)
    return 0


cdef inline void give_back(Buffer *buffer, Pool *pool) noexcept nogil:
    """Part with the memory and with what it held."""
    if buffer.room == BLOCK and pool.count < SPARE:
        pool.spare[pool.count] = buffer.data
        pool.count += 1
    elif buffer.room == WIDE and pool.wide == NULL:
        pool.wide = buffer.data
    elif buffer.room:
        free(buffer.data)
    buffer.data = NULL
    buffer.start = buffer.end = buffer.room = 0


cdef inline void consume(Buffer *buffer, size_t size, Pool *pool) noexcept nogil:
    """Drop *size* bytes from the front; an empty buffer goes back to the pool."""
    buffer.start += size
    if buffer.start == buffer.end:
        give_back(buffer, pool)


cdef inline int reserve(Buffer *buffer, size_t size, Pool *pool) except -1:
    """Make room for *size* more bytes at the end."""
    cdef size_t room
    cdef char *data
    borrow(buffer, pool)
    if buffer.room - buffer.end >= size:
        return 0
    if buffer.start:
        memmove(buffer.data, buffer.data + buffer.start, held(buffer))
        buffer.end -= buffer.start
        buffer.start = 0
        if buffer.room - buffer.end >= size:
            return 0
    room = max(buffer.room * 2, buffer.end + size)
    data = <char *>realloc(buffer.data, room)
    if data == NULL:
        raise MemoryError
    buffer.data = data
    buffer.room = room
    return 0


cdef inline int append(Buffer *buffer, const void *data, size_t size, Pool *pool) except -1:
    """Copy *size* bytes to the end."""
    reserve(buffer, size, pool)
    memcpy(buffer.data + buffer.end, data, size)
    buffer.end += size
    return 0


cdef inline void drain_pool(Pool *pool) noexcept nogil:
    while pool.count:
        pool.count -= 1
        free(pool.spare[pool.count])
    free(pool.wide)
    pool.wide = NULL

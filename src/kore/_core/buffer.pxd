"""Growable bytes, and the pool they come from.

A connection owns memory only while it holds bytes: it borrows a block when something arrives or
must leave, and gives it back when the block is empty. Ten thousand idle connections hold none.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove


cdef enum:
    BLOCK_SIZE = 16384      # what one read takes: the kernel's usual socket buffer, in four pages
    SPARE = 64          # blocks that wait for their next user, most recently used (cached) first
    WIDE_BLOCK_SIZE = 65536     # size of one read where large messages come


cdef struct Pool:
    char *spare[SPARE]
    int count
    char *wide          # one is enough: who uses it hardly ever keeps it


cdef struct Buffer:
    char *data
    size_t start        # first byte that is still wanted
    size_t end          # one past the last byte
    size_t room         # bytes allocated, 0 when nothing is borrowed


cdef inline size_t buffered_size(Buffer *buffer) noexcept nogil:
    """Return how many bytes wait in *buffer*."""
    return buffer.end - buffer.start


cdef inline int borrow_block(Buffer *buffer, Pool *pool) except -1:
    """Give *buffer* a block, unless it has one."""
    if buffer.room:
        return 0
    if pool.count:
        pool.count -= 1
        buffer.data = pool.spare[pool.count]
    else:
        buffer.data = <char *>malloc(BLOCK_SIZE)
        if buffer.data == NULL:
            raise MemoryError
    buffer.room = BLOCK_SIZE
    buffer.start = buffer.end = 0
    return 0


cdef inline int borrow_wide_block(Buffer *buffer, Pool *pool) except -1:
    """Give *buffer* much room, unless it has some; `narrow` follows when it has been worked on."""
    if buffer.room:
        return 0
    buffer.data = pool.wide if pool.wide != NULL else <char *>malloc(WIDE_BLOCK_SIZE)
    if buffer.data == NULL:
        raise MemoryError
    pool.wide = NULL
    buffer.room = WIDE_BLOCK_SIZE
    buffer.start = buffer.end = 0
    return 0


cdef inline int shrink_block(Buffer *buffer, Pool *pool) except -1:
    """Keep what little there is in an ordinary block."""
    cdef Buffer wide = buffer[0]
    if wide.room != WIDE_BLOCK_SIZE or buffered_size(&wide) > BLOCK_SIZE:
        return 0
    buffer.room = 0
    borrow_block(buffer, pool)
    append_bytes(buffer, wide.data + wide.start, buffered_size(&wide), pool)
    return_block(&wide, pool)
    return 0


cdef inline void return_block(Buffer *buffer, Pool *pool) noexcept nogil:
    """Part with the memory and with what it held."""
    if buffer.room == BLOCK_SIZE and pool.count < SPARE:
        pool.spare[pool.count] = buffer.data
        pool.count += 1
    elif buffer.room == WIDE_BLOCK_SIZE and pool.wide == NULL:
        pool.wide = buffer.data
    elif buffer.room:
        free(buffer.data)
    buffer.data = NULL
    buffer.start = buffer.end = buffer.room = 0


cdef inline void consume_bytes(Buffer *buffer, size_t size, Pool *pool) noexcept nogil:
    """Drop *size* bytes from the front; an empty buffer goes back to the pool."""
    buffer.start += size
    if buffer.start == buffer.end:
        return_block(buffer, pool)


cdef inline int reserve_space(Buffer *buffer, size_t size, Pool *pool) except -1:
    """Make room for *size* more bytes at the end."""
    cdef size_t room
    cdef char *data
    borrow_block(buffer, pool)
    if buffer.room - buffer.end >= size:
        return 0
    if buffer.start:
        memmove(buffer.data, buffer.data + buffer.start, buffered_size(buffer))
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


cdef inline int append_bytes(Buffer *buffer, const void *data, size_t size, Pool *pool) except -1:
    """Copy *size* bytes to the end."""
    reserve_space(buffer, size, pool)
    memcpy(buffer.data + buffer.end, data, size)
    buffer.end += size
    return 0


cdef inline void drain_pool(Pool *pool) noexcept nogil:
    while pool.count:
        pool.count -= 1
        free(pool.spare[pool.count])
    free(pool.wide)
    pool.wide = NULL

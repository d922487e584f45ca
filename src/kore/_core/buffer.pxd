"""Growable byte buffers, and the pool that their memory comes from.

A buffer owns memory only while it holds bytes: it borrows a block from the pool when something is
to be received or sent, and returns the block when it is empty. Idle connections own none.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove


cdef enum:
    BLOCK_SIZE = 16384          # size of one read: most requests fit
    WIDE_BLOCK_SIZE = 65536     # size of one read where large messages are expected
    SPARE_BLOCKS_MAX = 64


cdef struct Pool:
    char *spare[SPARE_BLOCKS_MAX]   # free blocks; the last one is used next, being in the caches
    int count
    char *wide                      # one free wide block: they are returned after each read


cdef struct Buffer:
    char *data
    size_t start        # offset of the first byte
    size_t end          # offset behind the last byte
    size_t capacity     # bytes allocated; 0: no memory is borrowed


cdef inline size_t buffered_size(Buffer *buffer) noexcept nogil:
    """Return the number of bytes in the buffer."""
    return buffer.end - buffer.start


cdef inline int borrow_block(Buffer *buffer, Pool *pool) except -1:
    """Give the buffer a block, unless it has memory."""
    if buffer.capacity:
        return 0
    if pool.count:
        pool.count -= 1
        buffer.data = pool.spare[pool.count]
    else:
        buffer.data = <char *>malloc(BLOCK_SIZE)
        if buffer.data == NULL:
            raise MemoryError
    buffer.capacity = BLOCK_SIZE
    buffer.start = buffer.end = 0
    return 0


cdef inline int borrow_wide_block(Buffer *buffer, Pool *pool) except -1:
    """Give the buffer a wide block, unless it has memory. Call `shrink_block` after the read."""
    if buffer.capacity:
        return 0
    buffer.data = pool.wide if pool.wide != NULL else <char *>malloc(WIDE_BLOCK_SIZE)
    if buffer.data == NULL:
        raise MemoryError
    pool.wide = NULL
    buffer.capacity = WIDE_BLOCK_SIZE
    buffer.start = buffer.end = 0
    return 0


cdef inline int shrink_block(Buffer *buffer, Pool *pool) except -1:
    """Replace a wide block by an ordinary one, if its content fits."""
    cdef Buffer wide = buffer[0]
    if wide.capacity != WIDE_BLOCK_SIZE or buffered_size(&wide) > BLOCK_SIZE:
        return 0
    buffer.capacity = 0
    borrow_block(buffer, pool)
    append_bytes(buffer, wide.data + wide.start, buffered_size(&wide), pool)
    return_block(&wide, pool)
    return 0


cdef inline void return_block(Buffer *buffer, Pool *pool) noexcept nogil:
    """Discard the content, and return the memory to the pool or to the heap."""
    if buffer.capacity == BLOCK_SIZE and pool.count < SPARE_BLOCKS_MAX:
        pool.spare[pool.count] = buffer.data
        pool.count += 1
    elif buffer.capacity == WIDE_BLOCK_SIZE and pool.wide == NULL:
        pool.wide = buffer.data
    elif buffer.capacity:
        free(buffer.data)
    buffer.data = NULL
    buffer.start = buffer.end = buffer.capacity = 0


cdef inline void consume_bytes(Buffer *buffer, size_t size, Pool *pool) noexcept nogil:
    """Remove *size* bytes from the front; return the memory if none are left."""
    buffer.start += size
    if buffer.start == buffer.end:
        return_block(buffer, pool)


cdef inline int reserve_space(Buffer *buffer, size_t size, Pool *pool) except -1:
    """Make room for *size* more bytes at the end: move the content to the front, or grow."""
    cdef size_t capacity
    cdef char *data
    borrow_block(buffer, pool)
    if buffer.capacity - buffer.end >= size:
        return 0
    if buffer.start:
        memmove(buffer.data, buffer.data + buffer.start, buffered_size(buffer))
        buffer.end -= buffer.start
        buffer.start = 0
        if buffer.capacity - buffer.end >= size:
            return 0
    capacity = max(buffer.capacity * 2, buffer.end + size)
    data = <char *>realloc(buffer.data, capacity)
    if data == NULL:
        raise MemoryError
    buffer.data = data
    buffer.capacity = capacity
    return 0


cdef inline int append_bytes(Buffer *buffer, const void *data, size_t size, Pool *pool) except -1:
    """Copy *size* bytes to the end."""
    reserve_space(buffer, size, pool)
    memcpy(buffer.data + buffer.end, data, size)
    buffer.end += size
    return 0


cdef inline void drain_pool(Pool *pool) noexcept nogil:
    """Free the pool's blocks."""
    while pool.count:
        pool.count -= 1
        free(pool.spare[pool.count])
    free(pool.wide)
    pool.wide = NULL

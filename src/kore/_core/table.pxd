"""A table of objects by descriptor, whose keys are unique: epoll reports keys, not pointers.

A key has the descriptor in its lower half and a generation in its upper half. An event for an
object that was removed, even if its descriptor is in use again, finds no entry.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset


cdef enum:
    FIRST_ENTRIES = 64


cdef struct Entry:
    uint64_t key                # 0: the entry is free
    PyObject *owner             # a borrowed reference


cdef struct Table:
    Entry *entries              # by descriptor
    size_t capacity
    uint32_t generation         # of the latest key


cdef inline uint64_t add_entry(Table *table, int fd, PyObject *owner) except 0:
    """Enter *owner*, in place of an earlier one of the descriptor; return its key."""
    cdef size_t capacity = max(table.capacity * 2, <size_t>fd + FIRST_ENTRIES)
    cdef Entry *entries
    if <size_t>fd >= table.capacity:
        entries = <Entry *>realloc(table.entries, capacity * sizeof(Entry))
        if entries == NULL:
            raise MemoryError
        memset(entries + table.capacity, 0, (capacity - table.capacity) * sizeof(Entry))
        table.entries = entries
        table.capacity = capacity
    table.generation = max(table.generation + 1, 1)     # a key is not 0
    table.entries[fd].key = <uint64_t>table.generation << 32 | <uint32_t>fd
    table.entries[fd].owner = owner
    return table.entries[fd].key


cdef inline PyObject *find_entry(Table *table, uint64_t key) noexcept nogil:
    """Return the owner of *key*, or NULL if it was removed."""
    cdef size_t fd = <uint32_t>key
    if fd >= table.capacity or table.entries[fd].key != key:
        return NULL
    return table.entries[fd].owner


cdef inline void remove_entry(Table *table, uint64_t key) noexcept nogil:
    """Remove the entry of *key*, if it is there."""
    if find_entry(table, key) != NULL:
        memset(&table.entries[<uint32_t>key], 0, sizeof(Entry))


cdef inline void clear_table(Table *table) noexcept nogil:
    """Remove all entries, and free the memory."""
    free(table.entries)
    table.entries = NULL
    table.capacity = 0

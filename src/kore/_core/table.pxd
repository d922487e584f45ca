"""A table of objects by descriptor, with keys that are never given twice: what epoll reports.

A key holds the descriptor in its lower half and a generation in its upper half, so that an event
for an object that is gone, or that has given its descriptor to another one, finds nothing.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset


cdef enum:
    FIRST_ENTRIES = 64


cdef struct Entry:
    uint64_t key                # 0: there is none
    PyObject *owner             # borrowed


cdef struct Table:
    Entry *entries              # by descriptor
    size_t room
    uint32_t generation         # of the latest key


cdef inline uint64_t add_entry(Table *table, int handle, PyObject *owner) except 0:
    """Enter *owner* in place of what was there, and return its key."""
    cdef size_t room = max(table.room * 2, <size_t>handle + FIRST_ENTRIES)
    cdef Entry *entries
    if <size_t>handle >= table.room:
        entries = <Entry *>realloc(table.entries, room * sizeof(Entry))
        if entries == NULL:
            raise MemoryError
        memset(entries + table.room, 0, (room - table.room) * sizeof(Entry))
        table.entries = entries
        table.room = room
    table.generation = max(table.generation + 1, 1)     # a key is not 0
    table.entries[handle].key = <uint64_t>table.generation << 32 | <uint32_t>handle
    table.entries[handle].owner = owner
    return table.entries[handle].key


cdef inline PyObject *find_entry(Table *table, uint64_t key) noexcept nogil:
    """Return the owner of *key*, NULL if it is gone."""
    cdef size_t handle = <uint32_t>key
    if handle >= table.room or table.entries[handle].key != key:
        return NULL
    return table.entries[handle].owner


cdef inline void remove_entry(Table *table, uint64_t key) noexcept nogil:
    if find_entry(table, key) != NULL:
        memset(&table.entries[<uint32_t>key], 0, sizeof(Entry))


cdef inline void clear_table(Table *table) noexcept nogil:
    """Forget all, and free the memory."""
    free(table.entries)
    table.entries = NULL
    table.room = 0

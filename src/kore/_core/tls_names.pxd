"""A table of host names, exact ones and ones with wildcards, that is searched without the GIL.

Exact names come first, then names with wildcards in the order in which they were added: the order
of the HTTP router, where an exact name after a wildcard that matches it is an error of the
configuration. `*` stands for any characters, dots included.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove


cdef struct HostName:
    char *text              # in lower case, owned by the table
    size_t size
    void *value             # NULL: nothing is there for this name yet


cdef struct NameList:
    HostName *names
    size_t count


cdef struct NameTable:
    NameList exact          # sorted
    NameList patterns


cdef inline int compare_names(const char *text, size_t size, HostName *name) noexcept nogil:
    """Return the order of two names, as memcmp does."""
    cdef int order = memcmp(text, name.text, min(size, name.size))
    return order if order else (size > name.size) - (size < name.size)


cdef inline size_t find_place(NameList *names, const char *text, size_t size) noexcept nogil:
    """Return where a name stands in a sorted list, or where it is to be inserted."""
    cdef size_t low = 0
    cdef size_t high = names.count
    cdef size_t middle
    while low < high:
        middle = (low + high) // 2
        if compare_names(text, size, &names.names[middle]) > 0:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint matches_pattern(HostName *pattern, const char *host, size_t size) noexcept nogil:
    """Return whether a host matches a name with wildcards. Takes time for size * size at most."""
    cdef size_t at = 0
    cdef size_t i = 0
    cdef size_t star = pattern.size         # the last wildcard so far; size: none
    cdef size_t covered = 0                 # where its text ends
    while i < size:
        if at < pattern.size and pattern.text[at] == c"*":
            star = at
            covered = i
            at += 1
        elif at < pattern.size and pattern.text[at] == host[i]:
            at += 1
            i += 1
        elif star < pattern.size:           # that wildcard stands for one character more
            covered += 1
            i = covered
            at = star + 1
        else:
            return False
    while at < pattern.size and pattern.text[at] == c"*":
        at += 1
    return at == pattern.size


cdef inline HostName *find_host(NameTable *table, const char *host, size_t size) noexcept nogil:
    """Return the entry of a host in lower case, or NULL."""
    cdef size_t place = find_place(&table.exact, host, size)
    cdef size_t i
    if place < table.exact.count and not compare_names(host, size, &table.exact.names[place]):
        return &table.exact.names[place]
    for i in range(table.patterns.count):
        if matches_pattern(&table.patterns.names[i], host, size):
            return &table.patterns.names[i]
    return NULL


cdef inline HostName *find_name(NameTable *table, const char *text, size_t size) noexcept nogil:
    """Return the entry of a name, which may be one with wildcards; NULL if it was not added."""
    cdef bint is_pattern = memchr(text, c"*", size) != NULL
    cdef NameList *names = &table.patterns if is_pattern else &table.exact
    cdef size_t place = 0
    if is_pattern:
        while place < names.count and compare_names(text, size, &names.names[place]):
            place += 1
    else:
        place = find_place(names, text, size)
    if place < names.count and not compare_names(text, size, &names.names[place]):
        return &names.names[place]
    return NULL


cdef inline HostName *add_name(NameTable *table, const char *text, size_t size) noexcept nogil:
    """Return the entry of a name, added if it is new; valid until the next one is added.

    NULL: no memory.
    """
    cdef HostName *found = find_name(table, text, size)
    if found != NULL:
        return found
    if memchr(text, c"*", size) != NULL:
        return insert_name(&table.patterns, table.patterns.count, text, size)
    return insert_name(&table.exact, find_place(&table.exact, text, size), text, size)


cdef inline HostName *insert_name(NameList *names, size_t place, const char *text,
                                  size_t size) noexcept nogil:
    """Insert a name without a value into a list; NULL: no memory."""
    cdef HostName *grown
    cdef char *copy = <char *>realloc(NULL, size + 1)
    if copy == NULL:
        return NULL
    grown = <HostName *>realloc(names.names, (names.count + 1) * sizeof(HostName))
    if grown == NULL:
        free(copy)
        return NULL
    memcpy(copy, text, size)
    copy[size] = 0
    memmove(grown + place + 1, grown + place, (names.count - place) * sizeof(HostName))
    grown[place] = HostName(copy, size, NULL)
    names.names = grown
    names.count += 1
    return &grown[place]


cdef inline void clear_names(NameList *names,
                             void (*release)(void *) noexcept nogil) noexcept nogil:
    """Remove all names; *release* is called with each value that is not NULL."""
    cdef size_t i
    for i in range(names.count):
        free(names.names[i].text)
        if names.names[i].value != NULL:
            release(names.names[i].value)
    free(names.names)
    names.names = NULL
    names.count = 0

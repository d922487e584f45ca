"""Fields of a response: pairs of a name and a value, in order, repeats kept."""

from libc.stdint cimport int64_t


cdef struct Framing:            # what fields of an application say about framing
    int64_t length              # content-length; -1: none
    bint close                  # connection: close


cdef bytes encode_field_name(str name)
cdef bytes encode_field_value(str name, str value)
cdef bint is_named(object field, const char *name, size_t length) noexcept
cdef bint has_field(list fields, const char *name, size_t length) noexcept
cdef int remove_fields(list fields, const char *name, size_t length) except -1
cdef int set_field(list fields, bytes name, bytes value) except -1
cdef list merge_fields(object defaults, list fields)
cdef list take_over_fields(object fields, Framing *framing)

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Fields of a response: a list of (name, value), both bytes, in order, repeats kept.

Names keep the spelling that the application gave them and are compared without regard to case.
They become lines of HTTP/1 in `writer`, and nowhere else. Pure.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE

from kore._core.grammar cimport equals_word, is_field_value, is_token

cdef enum:
    LENGTH_DIGITS = 18      # of a content-length: more do not fit into 64 bits


cdef bytes encode_field_name(str name):
    """Return *name* as bytes. Raises ValueError if it is not a token (RFC 9110 5.1)."""
    cdef bytes raw
    if name is None:        # which Cython accepts as a str
        raise TypeError("the name of a field is a str, not None")
    raw = name.encode("latin-1", "replace")
    if not is_token(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw)):
        raise ValueError(f"header name {name!r} is not a token (letters, digits, hyphens)")
    return raw


cdef bytes encode_field_value(str name, str value):
    """Return *value* as bytes, without blanks around it (RFC 9110 5.5).

    Raises ValueError if it holds line breaks or control characters.
    """
    cdef bytes raw
    if value is None:
        raise TypeError(f"the value of header {name!r} is a str, not None")
    try:
        raw = value.strip(" \t").encode("latin-1")
    except UnicodeEncodeError:
        raw = value.strip(" \t").encode("utf-8", "surrogateescape")
    if not is_field_value(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw)):
        raise ValueError(f"header {name!r} cannot hold line breaks or controls: {value!r}")
    return raw


cdef bint is_named(object field, const char *name, size_t length) noexcept:
    """Return whether *field*, a pair that was checked, has this (lower-case) name."""
    cdef object own = <object>PyTuple_GET_ITEM(field, 0)
    return equals_word(PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own), name, length)


cdef bint has_field(list fields, const char *name, size_t length) noexcept:
    """Return whether there is a field of this (lower-case) name."""
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(fields)):
        if is_named(<object>PyList_GET_ITEM(fields, i), name, length):
            return True
    return False


cdef int remove_fields(list fields, const char *name, size_t length) except -1:
    """Remove all fields of this (lower-case) name."""
    cdef Py_ssize_t i = PyList_GET_SIZE(fields)
    while i > 0:
        i -= 1
        if is_named(<object>PyList_GET_ITEM(fields, i), name, length):
            del fields[i]
    return 0


cdef int set_field(list fields, bytes name, bytes value) except -1:
    """Append a field in place of all others of its name."""
    cdef bytes lower
    if PyList_GET_SIZE(fields):
        lower = name.lower()
        remove_fields(fields, PyBytes_AS_STRING(lower), PyBytes_GET_SIZE(lower))
    fields.append((name, value))
    return 0


cdef list merge_fields(object defaults, list fields):
    """Return *defaults*, a sequence of pairs, with *fields* in place of those of the same names.

    Raises TypeError if one of *defaults* is not a pair of bytes.
    """
    cdef list merged = []
    cdef bytes lower
    for field in defaults:
        if not is_pair(field):
            raise TypeError(f"a field is a pair of bytes, a name and a value, not {field!r}")
        lower = field[0].lower()
        if fields is None or not has_field(
                fields, PyBytes_AS_STRING(lower), PyBytes_GET_SIZE(lower)):
            merged.append(field)
    if fields:
        merged += fields
    return merged


cdef list take_over_fields(object fields, Framing *framing):
    """Return checked pairs of bytes, without those that frame a response: they go to *framing*.

    Raises TypeError for what is not a pair of bytes, ValueError for what cannot be one field.
    """
    cdef list taken = []
    cdef bytes name, value
    framing.length = -1
    framing.close = False
    for field in fields:
        if not is_pair(field):
            raise TypeError(f"a field is a pair of bytes, a name and a value, not {field!r}")
        name, value = field
        value = value.strip(b" \t")
        if not is_token(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)):
            raise ValueError(f"header name {name!r} is not a token (letters, digits, hyphens)")
        if not is_field_value(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)):
            raise ValueError(f"header {name!r} cannot hold line breaks or controls: {value!r}")
        if is_named(field, b"content-length", 14):
            if not value.isdigit() or len(value) > LENGTH_DIGITS:
                raise ValueError(f"content-length must be a number of bytes, not {value!r}")
            framing.length = int(value)
        elif is_named(field, b"connection", 10):
            framing.close = framing.close or b"close" in value.lower()
        elif not (is_named(field, b"transfer-encoding", 17) or is_named(field, b"keep-alive", 10)):
            taken.append((name, value))
    return taken


cdef bint is_pair(object field) noexcept:
    if not PyTuple_CheckExact(field) or PyTuple_GET_SIZE(field) != 2:
        return False
    return (PyBytes_CheckExact(<object>PyTuple_GET_ITEM(field, 0))
            and PyBytes_CheckExact(<object>PyTuple_GET_ITEM(field, 1)))

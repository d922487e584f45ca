"""OpenSSL's errors in words; see tls_errors.pyx."""


cdef str take_reason()
cdef object make_error(str what)

"""From a request's head to its handler."""

from kore._core.request cimport Request


cdef int dispatch_request(Request request, object resolve) except -1
cdef int resume_request(Request request) except -1
cdef int run_handler(Request request) except -1
cdef int report_and_fail(Request request, object error) except -1

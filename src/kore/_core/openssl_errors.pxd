"""The errors of OpenSSL calls as text: OpenSSL queues them, for each thread."""

from kore._core.openssl cimport ERR_GET_REASON, ERR_reason_error_string
from kore._core.openssl_provider cimport ERR_R_OPERATION_FAIL, ERR_TXT_STRING, ERR_get_error_all


cdef inline list take_errors():
    """Return the queued errors, the first one first, and remove them from the queue.

    An error of a remote key has a text of its own.
    """
    cdef list texts = []
    cdef const char *data
    cdef const char *reason
    cdef int flags
    cdef unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)
    while code:
        reason = ERR_reason_error_string(code)
        if flags & ERR_TXT_STRING and ERR_GET_REASON(code) == ERR_R_OPERATION_FAIL:
            texts.append(data.decode("utf-8", "replace"))
        else:
            texts.append("unknown error" if reason == NULL else reason.decode())
        code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)
    return texts

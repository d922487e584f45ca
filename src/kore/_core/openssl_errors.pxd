"""The errors of OpenSSL calls as text: OpenSSL queues them, for each thread."""

from kore._core.openssl cimport ERR_reason_error_string
from kore._core.openssl_provider cimport ERR_TXT_STRING, ERR_get_error_all


cdef inline list take_errors():
    """Return the queued errors, the first one first, and remove them from the queue.

    An error that has a text of its own, as those of remote keys have, is that text.
    """
    cdef list texts = []
    cdef const char *data
    cdef const char *reason
    cdef int flags
    cdef unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)
    while code:
        reason = ERR_reason_error_string(code)
        if flags & ERR_TXT_STRING and data != NULL and data[0]:
            texts.append(data.decode("utf-8", "replace"))
        else:
            texts.append("unknown error" if reason == NULL else reason.decode())
        code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)
    return texts

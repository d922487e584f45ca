"""Format numbers and dates as text, without Python objects: for response heads and log lines.

strftime(3) is not used, because its names of days and months depend on the locale.
"""

from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from kore._core.buffer cimport Buffer, Pool, append_bytes
from kore._core.libc cimport gmtime_r, time_t, tm


cdef extern from *:
    """
    static const char *const kore_days[7] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const kore_months[12] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    """
    const char *const *DAY_NAMES "kore_days"            # by tm_wday
    const char *const *MONTH_NAMES "kore_months"        # by tm_mon


cdef enum:
    DECIMAL_SIZE_MAX = 20       # digits of the largest number
    IMF_FIXDATE_SIZE = 29


cdef inline int format_decimal(char *end, int64_t number) noexcept nogil:
    """Write a number, not negative, so that it ends before *end*; return how many digits it has."""
    cdef int size = 0
    while True:
        size += 1
        end[-size] = <char>(c"0" + number % 10)
        number //= 10
        if number == 0:
            return size


cdef inline int append_decimal(Buffer *buffer, int64_t number, Pool *pool) except -1:
    """Append a number, not negative."""
    cdef char digits[DECIMAL_SIZE_MAX]
    cdef char *end = digits + DECIMAL_SIZE_MAX
    cdef int size = format_decimal(end, number)
    return append_bytes(buffer, end - size, size, pool)


cdef inline int format_imf_fixdate(char *out, int64_t second) noexcept nogil:
    """Write a moment, in seconds since 1970, and a NUL; return the number of characters.

    RFC 9110 section 5.6.7: IMF-fixdate, like "Sun, 06 Nov 1994 08:49:37 GMT". *out* must have
    IMF_FIXDATE_SIZE + 1 bytes, and the year four digits.
    """
    cdef char text[96]      # for any values of the fields, as far as the compiler knows
    cdef tm at
    cdef time_t when = <time_t>second
    gmtime_r(&when, &at)
    snprintf(text, sizeof(text), b"%s, %02d %s %04d %02d:%02d:%02d GMT",
             DAY_NAMES[at.tm_wday], at.tm_mday, MONTH_NAMES[at.tm_mon], at.tm_year + 1900,
             at.tm_hour, at.tm_min, at.tm_sec)
    memcpy(out, text, IMF_FIXDATE_SIZE)
    out[IMF_FIXDATE_SIZE] = 0
    return IMF_FIXDATE_SIZE

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The file of access logs: lines wait here, and leave together, in one write."""

from libc.errno cimport EINTR, EIO, errno
from libc.string cimport memchr

from kore._core.buffer cimport BLOCK_SIZE, consume_bytes, drain_pool, return_block, buffered_size
from kore._core.libc cimport close, memrchr, write

cdef enum:
    FULL = BLOCK_SIZE - 2048     # lines that wait are written before they outgrow their block
    KEPT = 1 << 18          # of lines that cannot be written so much is kept for later


cdef class LogFile:
    """The file of an access log: *handle*, a descriptor to append to, belongs to it from here on.

    *most* is what one write may hold, for pipes: more could mix with what others write.
    """

    def __cinit__(self, int handle, size_t most=0):
        self.handle = handle
        self.most = most

    def __dealloc__(self):
        return_block(&self.lines, &self.pool)
        drain_pool(&self.pool)

    @property
    def waiting(self):
        """How many lines wait to be written."""
        if not self.lines.room:
            return 0
        return self.lines.data[self.lines.start:self.lines.end].count(b"\n")

    def flush(self):
        """Write what waits, as far as it goes; `error` and `lost` say the rest."""
        self.write_out()

    def switch(self, int handle, size_t most=0):
        """Write to another file from now on: this one has been moved away. What waits goes first.

        A line whose beginning is in the old file is not continued in the new one.
        """
        cdef const char *rest
        self.write_out()
        if self.torn and buffered_size(&self.lines):
            rest = self.lines.data + self.lines.start
            consume_bytes(&self.lines, line_size(rest, buffered_size(&self.lines)), &self.pool)
            self.lost += 1
        self.torn = False
        self.close()
        self.handle = handle
        self.most = most

    def close(self):
        """Give the descriptor back. What waits stays."""
        if self.handle >= 0:
            close(self.handle)
        self.handle = -1

    def abandon(self):
        """Forget what waits, in a forked process: who collected it writes it."""
        return_block(&self.lines, &self.pool)

    cdef int write_out(self) except -1:
        cdef ssize_t count
        self.error = 0
        while buffered_size(&self.lines):
            count = write(self.handle, self.lines.data + self.lines.start, self.portion())
            if count > 0:
                self.torn = self.lines.data[self.lines.start + count - 1] != c"\n"
                consume_bytes(&self.lines, count, &self.pool)
            elif count == 0 or errno != EINTR:
                self.error = EIO if count == 0 else errno
                return 0
        return 0

    cdef size_t portion(self) noexcept:
        # whole lines, unless one alone is more than a write may hold
        cdef const char *data = self.lines.data + self.lines.start
        cdef const char *end
        if not self.most or buffered_size(&self.lines) <= self.most:
            return buffered_size(&self.lines)
        end = <const char *>memrchr(data, c"\n", self.most)
        return end + 1 - data if end != NULL else line_size(data, buffered_size(&self.lines))

    cdef bint refuses(self) noexcept:
        """Say whether there is no room for another line."""
        return self.error and buffered_size(&self.lines) > KEPT

    cdef int added(self) except -1:
        """Take note of another line. After a failure it is left to `flush` to try again."""
        if buffered_size(&self.lines) > FULL and not self.error:
            return self.write_out()
        return 0


cdef size_t line_size(const char *data, size_t size) noexcept:
    cdef const char *end = <const char *>memchr(data, c"\n", size)
    return size if end == NULL else end + 1 - data

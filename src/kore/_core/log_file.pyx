# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The file of an access log. Lines are collected in memory and written together, many at once.

While the file cannot be written (a full disk, a pipe that is not read), lines are kept up to
BUFFERED_MAX bytes, and counted as lost beyond that: requests are never delayed by their log.
"""

from libc.errno cimport EINTR, EIO, errno
from libc.string cimport memchr

from kore._core.buffer cimport BLOCK_SIZE, buffered_size, consume_bytes, drain_pool, return_block
from kore._core.libc cimport close, memrchr, write

cdef enum:
    FLUSH_SIZE = BLOCK_SIZE - 2048      # bytes that are written at once, before a block is full
    BUFFERED_MAX = 1 << 18              # bytes that are kept while the file cannot be written


cdef class LogFile:
    """The file of an access log: *fd* is open for appending, and closed by `close`.

    *write_max* limits the bytes of one write. A pipe needs PIPE_BUF, because the kernel may
    interleave longer writes with those of other processes (pipe(7)).
    """

    def __cinit__(self, int fd, size_t write_max=0):
        self.fd = fd
        self.write_max = write_max

    def __dealloc__(self):
        return_block(&self.lines, &self.pool)
        drain_pool(&self.pool)

    @property
    def pending(self):
        """Number of lines that are not yet written."""
        if not self.lines.capacity:
            return 0
        return self.lines.data[self.lines.start:self.lines.end].count(b"\n")

    def flush(self):
        """Write the pending lines, as many as possible; `error` and `lost` tell the outcome."""
        self.write_out()

    def switch(self, int fd, size_t write_max=0):
        """Write the pending lines, close the file, and use *fd* from now on.

        If a write has ended within a line, the rest of that line is discarded: the new file does
        not begin with a part of one.
        """
        cdef const char *rest
        self.write_out()
        if self.ends_mid_line and buffered_size(&self.lines):
            rest = self.lines.data + self.lines.start
            consume_bytes(&self.lines, line_size(rest, buffered_size(&self.lines)), &self.pool)
            self.lost += 1
        self.ends_mid_line = False
        self.close()
        self.fd = fd
        self.write_max = write_max

    def close(self):
        """Close the file. Pending lines are kept."""
        if self.fd >= 0:
            close(self.fd)
        self.fd = -1

    def discard(self):
        """Discard the pending lines: in a forked process, because its parent writes them."""
        return_block(&self.lines, &self.pool)

    cdef int write_out(self) except -1:
        cdef ssize_t count
        self.error = 0
        while buffered_size(&self.lines):
            count = write(self.fd, self.lines.data + self.lines.start, self.next_write_size())
            if count > 0:
                self.ends_mid_line = self.lines.data[self.lines.start + count - 1] != c"\n"
                consume_bytes(&self.lines, count, &self.pool)
            elif count == 0 or errno != EINTR:
                self.error = EIO if count == 0 else errno
                return 0
        return 0

    cdef size_t next_write_size(self) noexcept:
        # Whole lines up to write_max, or one line that is longer.
        cdef const char *data = self.lines.data + self.lines.start
        cdef const char *end
        if not self.write_max or buffered_size(&self.lines) <= self.write_max:
            return buffered_size(&self.lines)
        end = <const char *>memrchr(data, c"\n", self.write_max)
        return end + 1 - data if end != NULL else line_size(data, buffered_size(&self.lines))

    cdef bint is_full(self) noexcept:
        """Return whether no further line can be kept."""
        return self.error and buffered_size(&self.lines) > BUFFERED_MAX

    cdef int line_added(self) except -1:
        """Write the lines if there are many. After an error only `flush` tries again."""
        if buffered_size(&self.lines) > FLUSH_SIZE and not self.error:
            return self.write_out()
        return 0


cdef size_t line_size(const char *data, size_t size) noexcept:
    cdef const char *end = <const char *>memchr(data, c"\n", size)
    return size if end == NULL else end + 1 - data

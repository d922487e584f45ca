"""What all connections of a worker share: limits, counters, hooks."""

from libc.stdint cimport int64_t

from kore._core.parser cimport HeadLimits
from kore._core.scoreboard_slot cimport Slot
from kore._core.writer cimport HeadWriter


cdef struct ServerLimits:       # sizes in bytes
    HeadLimits head
    int64_t body_max
    int64_t body_rate_min           # bytes per second
    int64_t body_memory_max         # larger bodies go to a sink; 0: none does
    int64_t header_timeout_ms
    int64_t body_timeout_ms
    int64_t keepalive_ms            # 0: each connection ends with its first response
    int64_t write_timeout_ms
    int64_t half_closed_timeout_ms  # of a client that stopped sending and shows no sign of life
    int64_t turn_ms                 # after which other connections have their turn
    int request_limit               # requests under way
    int connection_limit
    int network_limit               # connections of one address; 0: any number
    int accept_limit                # connections accepted in one go
    bint pretty_errors              # a page for errors without a body
    bint sendfile                   # files may go from the page cache straight to the socket


cdef class ServerContext:
    cdef ServerLimits limits
    cdef readonly int requests
    cdef readonly int connections
    cdef readonly bint draining
    cdef bint hurried           # draining, and no other worker serves this address
    cdef bint full
    cdef unsigned long thread   # the one that all of this belongs to
    cdef HeadWriter writer
    cdef Slot *slot
    cdef Slot unpublished
    cdef object slot_owner      # keeps the slot's memory
    cdef list listeners
    cdef dict networks          # connections by address
    # the hooks
    cdef object start_task
    cdef object send_stream
    cdef object discard_stream
    cdef object report_failure
    cdef object log_refusal
    cdef object call_soon
    cdef object call_later
    cdef object create_future
    cdef object make_request_data
    cdef object make_body_sink
    cdef object call_on_headers
    cdef object release_body
    cdef object query
    cdef readonly object websockets

    cdef bint add_network(self, bytes network) except -1
    cdef int remove_network(self, bytes network) except -1
    cdef int add_connection(self) except -1
    cdef int remove_connection(self) except -1
    cdef int report(self, object request, object error, object result=*) except -1
    cdef int note_refusal(self, object connection, int reason, bytes quote) except -1
    cdef int publish_running(self, bytes label) except -1
    cdef int publish_waiting(self, bytes label) except -1
    cdef int end_request(self) except -1
    cdef int check_thread(self, str what) except -1

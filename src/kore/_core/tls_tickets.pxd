"""Session tickets of a server; see tls_tickets.pyx."""

from kore._core.openssl cimport SSL, SSL_CTX
from kore._core.tls_state cimport TicketKeys


cdef int set_ticket_keys(TicketKeys *keys, list given) except -1
cdef void enable_tickets(SSL_CTX *context) noexcept nogil
cdef void disable_tickets(SSL *ssl) noexcept nogil

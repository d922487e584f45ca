# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The request as a handler sees it: its head, its body, and the way to respond."""

from cpython.bytes cimport PyBytes_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t

from kore._core.exchange cimport IN_PIECES
from kore._core.parser cimport HEAD, QUOTE_SIZE_MAX
from kore._core.refusals cimport REASON_COUNT, REFUSE_MISDIRECTED, refusal_status
from kore._core.response cimport (
    Framing, encode_field_name, encode_field_value, is_named, merge_fields, set_field,
    take_over_fields)
from kore._core.server_context cimport ServerContext
from kore._core.writer cimport check_final_status

from kore._core.writer import check_body_iterable, convert_body

cdef enum:
    READ_MAX = 1024     # bytes of one body_read(), as in Kore


cdef int status_number(object status, object body) except? -1:
    """Return a status as a number. Raises TypeError that says what to write."""
    if isinstance(status, (str, bytes, bytearray)) or not hasattr(status, "__index__"):
        if isinstance(status, str) and status.isdecimal():
            hint = f"write req.response({int(status)}, ...)"
        elif type(body) is int:
            hint = f"it comes first: write req.response({body}, {status!r:.60})"
        else:
            hint = "it comes first: write req.response(200, ...)"
        raise TypeError(f"response(): the status must be a number, not {type(status).__name__}: "
                        f"{hint}")
    return status


def get_start_time(Request request not None):
    """Return when the head of a request was complete, in seconds of the monotonic clock."""
    # No attribute: applications have their own on requests.
    return request.started_at / 1000


cdef class Request(Exchange):
    """An HTTP request, and the way to respond to it. `kore.http_request` in Kore's words."""

    def __init__(self):
        raise TypeError("cannot create 'kore.http_request' instances")

    def __repr__(self):
        return f"<kore.http_request {self.method_name} {self.path}>"

    @property
    def connection(self):
        """The client's connection."""
        return self.http.get_connection()

    # ---- the body

    @property
    def body(self):
        """The whole body; empty when there was none. Nothing is left for body_read() then.

        Of one in a file, all of it is read into memory. Raises RuntimeError where no body is kept:
        on routes with `stream` or `on_body_chunk`.
        """
        cdef bytes whole = self.content
        if whole is None:
            whole = b"" if self.store is None else self.store.read(0, len(self.store))
        self.read_offset = len(whole)
        return whole

    @property
    def body_source(self):
        """Where the body is: bytes, or what reads its file; None when there was none."""
        return self.content if self.store is None else self.store

    def body_read(self, Py_ssize_t length):
        """Return the next piece of the body as (size, bytes); (0, b"") at its end."""
        cdef bytes piece = b""
        if length < 0:
            raise ValueError(f"cannot read {length} bytes")
        if length > READ_MAX:
            raise RuntimeError(f"len > sizeof(buf): read at most {READ_MAX} bytes at a time")
        if self.store is not None:
            piece = self.store.read(self.read_offset, length)
        elif self.content is not None:
            piece = self.content[self.read_offset:self.read_offset + length]
        self.read_offset += len(piece)
        return len(piece), piece

    @property
    def body_path(self):
        """The path of the file the body is in, or None for one in memory.

        The file gets its name when this is first asked for, and loses it when the request is over.
        """
        return None if self.store is None else self.store.path()

    @property
    def body_digest(self):
        """The SHA-256 of the body, 32 bytes."""
        return self.request_data.digest(self)

    def chunks(self):
        """Return an async iterator over the body as it comes, on a route with `stream`.

        The client sends no faster than it is read. Raises RuntimeError on other routes. When the
        client leaves, is too slow or sends too much, the handler is cancelled.
        """
        if self.extras is None or not self.extras.stream:
            raise RuntimeError("chunks() is for routes with stream=True: this one has req.body")
        return self.store.chunks()

    # ---- parameters, cookies, files

    @property
    def request_data(self):
        """Parameters, cookies and files, created at first use by a hook of the server."""
        if self.data is None and self.http.context is not None:
            self.data = self.http.context.make_request_data(self, self.route)
        return self.data

    @property
    def query(self):
        """The query as {name: [value, ...]}, decoded and not validated."""
        return self.request_data.query(self)

    def argument(self, str name not None):
        """Return the first accepted value of a declared parameter, or None."""
        return self.request_data.argument(name)

    def arguments(self):
        """Return all accepted values as {name: [value, ...]}."""
        return self.request_data.arguments()

    def populate_get(self):
        """Let argument() see what the query holds."""
        return self.request_data.populate_get(self)

    def populate_post(self):
        """Let argument() see what a form in the body holds."""
        return self.request_data.populate_post(self)

    def populate_multi(self):
        """Let argument() and file_lookup() see what a multipart form in the body holds."""
        return self.request_data.populate_multi(self)

    populate_multipart = populate_multi

    def populate_cookies(self):
        """Do nothing: cookie() needs no preparation. It is there for compatibility."""
        return True

    def cookie(self, str name not None):
        """Return the first cookie of exactly that name, as it was sent, or None."""
        return self.request_data.cookies(self).get(name)

    def cookies(self):
        """Return all cookies by name; of several of one name the first."""
        return dict(self.request_data.cookies(self))

    def file_lookup(self, str name not None):
        """Return the first file a multipart form has under that name, or None."""
        return self.request_data.file_lookup(name)

    def files(self):
        """Return all files of a multipart form as {name: [file, ...]}."""
        return self.request_data.all_files()

    # ---- a database

    def pgsql(self, db, query, params=None, *, binary=False, bytea=False):
        """Query a database, see `kore.dbquery()`."""
        return self.http.context.query(db, query, params, binary, bytea)

    # ---- the response

    def response_header(self, str name not None, str value not None):
        """Set a field of the response, in place of an earlier one of that name.

        The server frames the response: `content-length` counts only in a response to HEAD
        without a body, `connection` only if it says close. Raises ValueError if the name is not a
        token, or the value has line breaks or control characters.
        """
        cdef str key = name.lower()
        cdef bytes raw_name = encode_field_name(name)
        cdef bytes raw_value = encode_field_value(name, value)
        if key == "transfer-encoding":
            raise ValueError("transfer-encoding is the server's: give response() an iterator")
        if key == "content-length":
            if not value.isdigit() or len(value) > 18:
                raise ValueError(f"content-length must be a number of bytes, not {value!r}")
            self.declared = int(value)
        elif key == "connection":
            self.wants_close = self.wants_close or "close" in value.lower()
        elif key != "keep-alive":
            if self.fields is None:
                self.fields = []
            set_field(self.fields, raw_name, raw_value)
        return True

    def response_cookie(self, str name not None, str value not None, **attributes):
        """Set a cookie with the response, beside others.

        Attributes: path, domain, max_age, expires, secure, http_only, same_site. An earlier cookie
        of the same name, domain and path is replaced, unless `replace=False`. Raises ValueError for
        a cookie that browsers would refuse.
        """
        cdef bytes raw_value
        text, replaces = self.request_data.set_cookie(self, name, value, attributes)
        raw_value = encode_field_value("set-cookie", text)
        if replaces is not None and self.fields is not None:
            self.fields = [field for field in self.fields
                           if not is_named(field, b"set-cookie", 10) or not replaces(field[1])]
        if self.fields is None:
            self.fields = []
        self.fields.append((b"set-cookie", raw_value))
        return True

    def response(self, status, body=None):
        """Respond: a status, and a body of bytes, str, None, or an iterator of those, async or not.

        An interim status (100, 103) may come before the final one. Raises RuntimeError for a
        second response. It has no effect when the client has left.
        """
        cdef int number = status if PyLong_CheckExact(status) else status_number(status, body)
        self.check_unanswered()
        if not 100 <= number <= 599 or number == 101:
            raise ValueError(f"{status} is not a status: 200 to 599, or 100 to 199 before that")
        if body is None:
            body = b""
        elif not PyBytes_CheckExact(body):
            body = convert_body(body)
            self.check_unanswered()       # a conversion may run code of the application
        if PyBytes_CheckExact(body) or isinstance(body, memoryview):
            if self.http.serves(self):
                self.respond_whole(number, body)
            return True
        return self.respond_streaming(number, body)

    cdef int check_unanswered(self, str what="response()") except -1:
        if self.answered:
            raise RuntimeError("response() was already called for this request")
        cdef ServerContext context = self.http.context
        if context is not None and context.thread != PyThread_get_thread_ident():
            raise RuntimeError(f"{what} belongs to the worker's thread: hand the result back to "
                               "the handler, or use loop.call_soon_threadsafe()")
        return 0

    def respond_streaming(self, int status, body):
        """Respond with the items of an iterator or an async iterator, as they come."""
        check_body_iterable(body)
        endless = hasattr(body, "__aiter__")
        rest = body if endless else iter(body)
        if not self.http.serves(self):
            self.discard_iterator(rest)
            return False
        if self.head.method == HEAD or status < 200 or status in (204, 205, 304):
            self.respond_whole(status, b"" if status == 205 else None)
            self.discard_iterator(rest)
            return True
        if endless:
            self.answered = True
            self.http.context.send_stream(self, status, body)
            return True
        try:
            self.start_iterator(status, rest)
        except BaseException:
            self.discard_iterator(rest)
            raise
        return True

    cdef int start_iterator(self, int status, object rest) except -1:
        # The first item before the head: what fails at once can still be answered with 500.
        cdef object first = next(rest, b"")
        if self.answered:
            raise RuntimeError("response() was called again by the iterator it was given")
        if self.http.serves(self):
            self.respond_iterator(status, first, rest)
        else:
            self.discard_iterator(rest)
        return 0

    def refuse(self, int status, str allow not None="", int64_t size=-1):
        """Send an error response of the server; *allow*: allowed methods, *size*: of the file."""
        check_final_status(status)
        self.send_error(status, allow, size)

    def refuse_misdirected(self):
        """Refuse a request on a connection whose TLS handshake was not for its host, with 421."""
        cdef bytes host = self.raw[self.head.host.start:self.head.host.start + self.head.host.size]
        self.refusal = REFUSE_MISDIRECTED
        self.send_error(refusal_status(REFUSE_MISDIRECTED), "")
        self.http.note_refusal(REFUSE_MISDIRECTED, host[:QUOTE_SIZE_MAX])

    def fail_unless_responded(self, int status):
        """Do as `fail`, unless a response is queued or something else continues it."""
        self.fail_unfinished(status)

    def fail(self, int status=500):
        """Respond with *status*, or abort the response if part of it has been sent."""
        check_final_status(status)
        self.fail_or_abort(status)

    def note_refusal(self, int reason):
        """Have the logs say why this request is refused: a number of `kore._core.refusals`."""
        if not 0 < reason < REASON_COUNT:
            raise ValueError(f"{reason} is not a reason to refuse a request")
        self.refusal = reason
        self.http.note_refusal(reason, self.quote_head(reason))

    def websocket_handshake(self, onconnect=None, onmsg=None, ondisconnect=None, **options):
        """Upgrade to a WebSocket; False: the client's handshake was invalid and has been refused.

        The callbacks are functions, names of functions, or None: `onconnect(connection)` is called
        now, `onmsg(connection, op, data)` with each message, `ondisconnect(connection)` once.
        Those that are coroutine functions are awaited, one at a time. Keywords, in place of what
        the route or a setting says: protocols, origins, maxframe, maxmessage, timeout, ping,
        buffer_max, buffer_full, compress. Raises RuntimeError after response() and for invalid
        keywords, NameError for a name that the application does not have.
        """
        self.check_unanswered("websocket_handshake()")
        if not self.http.serves(self):
            return False
        return self.http.context.websockets.handshake(
            self, self.route, (onconnect, onmsg, ondisconnect), options)

    # ---- for the worker, which runs requests

    def upgrade(self, options, tuple callbacks, deflater, protocol=None):
        """Switch to a WebSocket."""
        self.check_unanswered()
        return self.http.serves(self) and self.http.upgrade(self, callbacks, options, deflater,
                                                            protocol)

    def respond_with_parts(self, int status, fields not None, tuple pieces):
        """Respond with bytes and parts of files; *fields* are pairs of bytes: a name and a value.

        Fields that the application has set take the place of those of the same names.
        """
        self.check_unanswered()
        self.fields = merge_fields(fields, self.fields)
        if self.http.serves(self):
            self.respond_in_parts(status, pieces)

    def set_response_fields(self, fields not None):
        """Set all fields of the response: pairs of bytes, in order, repeats kept.

        Framing is the server's: transfer-encoding and keep-alive are left out, of connection only
        `close` counts, and the content-length is returned, None if there is none. Raises ValueError
        if a name or a value cannot be one, TypeError if a field is not a pair of bytes.
        """
        cdef Framing framing
        self.fields = take_over_fields(fields, &framing)
        self.wants_close = self.wants_close or framing.close
        self.declared = framing.length
        return None if framing.length < 0 else framing.length

    def call_on_disconnect(self, callback not None):
        """Have *callback()* called once if the client leaves before the response is complete.

        The tasks of the request are not cancelled then: that is left to *callback*.
        """
        if self.finished:
            return
        self.on_disconnect = callback
        if not self.http.carries(self):
            self.note_disconnect()

    def get_route_label(self):
        """Name the route, as logs do."""
        return self.path if self.route is None else self.route.label.decode("utf-8", "replace")

    def register_task(self, task):
        """Register a task that works on this request: it is cancelled when the client leaves."""
        if not self.finished and not self.http.carries(self) and not self.disconnect_noted:
            task.cancel()       # it left while the task took its first step
        elif self.task is None or self.task.done():
            self.task = task
        else:
            self.stream_task = task

    def get_running_tasks(self):
        """Return the tasks that still work on this request."""
        return [task for task in (self.task, self.stream_task)
                if task is not None and not task.done()]

    def resume(self):
        """Continue a request whose `on_headers` has been awaited."""
        self.http.proceed(self)

    def resume_body(self):
        """Receive more of the body: its sink, which was full, has room again."""
        if self.resume_sink():
            self.http.resume_body(self)

    def send_continue(self):
        """Send `100 Continue` if the client waits for it: its body is wanted."""
        self.http.send_continue(self)

    def fail_and_cancel_tasks(self, int status):
        """Respond with *status* in place of the handler, which is cancelled: the body is lost."""
        self.fail_and_cancel(status)

    def open_body(self, int status, int64_t length=IN_PIECES):
        """Write the head of a response whose body comes in pieces.

        *length* is announced, if given: a longer body is an error then, a shorter one is cut off.
        """
        check_final_status(status)
        if self.opened and self.http.serves(self):
            raise RuntimeError("the head of this response is written already")
        self.by_hand = not self.answered    # else an iterator is what is written
        self.begin_body(status, length)

    @property
    def is_unended(self):
        """True while a body that the handler writes itself has not ended."""
        return self.lacks_end()

    def note_handler_done(self):
        """Note that the handler is done: if end_body() is missing, wait for it."""
        if self.lacks_end():
            self.http.expect_end(self)

    @property
    def is_served(self):
        """True while there is a client that waits for the response, or for the rest of it."""
        return self.http.serves(self) and self.http.can_send(self)

    def write_body(self, item):
        """Queue a piece of the body; False when the client is slow, or gone: see `is_served`."""
        self.check_opened()
        return self.write_piece(item)

    def end_body(self):
        """End the response: its body is complete."""
        self.check_opened()
        self.finish_body()

    cdef int check_opened(self) except -1:
        if not self.opened and self.http.serves(self):
            raise RuntimeError("open_body() comes first")
        return 0

    def drained(self):
        """Return a future that is done when the output that waits has been sent."""
        return self.http.when_sent(self)

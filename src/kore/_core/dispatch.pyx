# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""From a request's head to its handler: limits, route, `on_headers`, body, handler.

Each step may end the exchange: by a refusal, in a hook that responds, or because code that was
called (a finalizer perhaps) did. So each asks whether the request still waits.
"""

cimport cython
from libc.stdint cimport int64_t

from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from kore._core.parser cimport HTTPS_SCHEME
from kore._core.refusals cimport REFUSE_BODY_SIZE, REFUSE_SCHEME, refusal_status
from kore._core.server_context cimport ServerContext

from inspect import isawaitable
from types import CoroutineType

cdef object COROUTINE = CoroutineType


@cython.nonecheck(False)
cdef int dispatch_request(Request request, object resolve) except -1:
    """Find the route of a request whose head has come, and go on with it."""
    cdef ServerContext context = request.http.context
    if context.requests > context.limits.request_limit:
        request.http.close_after(request)
        return request.send_error(503, "")
    # https over a connection that is not: RFC 9110 7.4
    if request.head.flags & HTTPS_SCHEME and request.http.tls is None:
        return refuse_request(request, REFUSE_SCHEME)
    request.access_log = None       # the router sets it
    request.route = resolve(request)
    if request.route is None and not request.answered:
        return request.fail_or_abort(500)
    if not request.awaits_response():
        return 0
    request.extras = request.route.extras
    if request.extras is None or (may_proceed(request) and request.awaits_response()):
        receive_body(request)
    return 0


cdef bint may_proceed(Request request) except -1:
    """Return whether to go on now with a request whose route has more than a handler."""
    if request.head.length > body_limit(request):
        refuse_request(request, REFUSE_BODY_SIZE)
        return False
    return (request.extras.on_headers is None
            or request.http.context.call_on_headers(request, request.extras))


cdef int64_t body_limit(Request request) except -1:
    if request.extras is None or request.extras.body_max is None:
        return request.http.context.limits.body_max
    return request.extras.body_max


cdef int refuse_request(Request request, int reason) except -1:
    """Refuse a request whose head breaks a rule, though it could be read."""
    if not request.awaits_response():
        return 0
    request.refusal = reason
    request.send_error(refusal_status(reason), "")
    return request.http.note_refusal(reason, request.quote_head(reason))


cdef int resume_request(Request request) except -1:
    """Go on with a request whose hook has been awaited."""
    if not request.awaits_response():
        return 0
    try:
        receive_body(request)
    except BaseException as error:
        report_and_fail(request, error)
    return 0


@cython.nonecheck(False)
cdef int receive_body(Request request) except -1:
    """Receive the body, if there is one, and run the handler."""
    cdef int64_t size_max = body_limit(request)
    if request.head.length > size_max:
        return refuse_request(request, REFUSE_BODY_SIZE)
    if request.has_body():
        return request.http.expect_body(request, size_max)
    if request.extras is not None and request.extras.stream:
        request.store = request.http.context.make_body_sink(request, request.extras)
        request.store.end()
    return run_handler(request)     # if it still waits


@cython.nonecheck(False)
cdef int run_handler(Request request) except -1:
    """Call the application. Nothing it raises goes further than this."""
    cdef ServerContext context = request.http.context
    cdef bytes label = request.route.label
    if label is None:       # its memory is copied without another look
        raise TypeError("the label of a route must be bytes, not None")
    context.publish_running(label)
    # What a handler sets in its contextvars is not for the next client to see.
    cdef object variables = PyContext_CopyCurrent()
    PyContext_Enter(variables)
    try:
        if request.awaits_response():
            call_handler(request)
    except BaseException as error:      # SystemExit too, as Kore has it
        report_and_fail(request, error)
    finally:
        PyContext_Exit(variables)
    context.slot.running[0] = 0
    if request.http.carries(request):   # it waits for something
        context.publish_waiting(label)
    return 0


@cython.nonecheck(False)
cdef int call_handler(Request request) except -1:
    cdef object run = request.route.run
    cdef object pending
    if request.captures is None:
        pending = run(request)
    else:
        pending = run(request, *request.captures)
    if pending is not None and (type(pending) is COROUTINE or isawaitable(pending)):
        request.http.context.start_task(pending, request)
    elif request.awaits_response():
        request.http.context.report(request, None, pending)
        if not request.answered:
            request.fail_or_abort(500)
    elif request.lacks_end():
        request.http.expect_end(request)
    return 0


cdef int report_and_fail(Request request, object error) except -1:
    """Report what code of the application or of the server raised, and respond with 500."""
    request.http.context.report(request, error)
    return request.fail_unfinished(500)

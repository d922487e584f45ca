# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Run the first step of a coroutine at once, and make an asyncio task for the rest of it.

Most handlers never wait. Making a task, registering it and waiting for its turn in the event loop
would cost more than all else that happens to their requests, so:

1. `TaskStarter.start` allocates an `UnregisteredTask` without initialising it. During the first
   step `asyncio.current_task()` returns it.
2. If the coroutine ends in its first step, that is all. If it suspends, or something uses an
   attribute of its task, `register_task` makes an ordinary task of the same object.

From Python 3.12 on asyncio has eager tasks, which are used; `TaskCoroutine` is what they run.

C code must not use a task that is not initialised. `UnregisteredTask` has no attribute, operator or
representation that does not register it first. Methods of the class `asyncio.Task` that are called
with such a task as an argument are not caught.
"""

from cpython.long cimport PyLong_FromVoidPtr
from cpython.ref cimport Py_DECREF, PyObject

from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit

import sys
from asyncio import CancelledError, Task, current_task
from asyncio.tasks import _enter_task, _leave_task

cdef extern from "Python.h" nogil:
    int PYGEN_NEXT
    int PyIter_Send(object iterator, object argument, PyObject **result) except -1

cdef enum:
    FIRST       # the first step runs, or there has been none
    SUSPENDED   # in its first step, and the task has not run yet
    STARTED     # the task runs it
    OVER

cdef bint HAS_EAGER_TASKS = sys.version_info >= (3, 12)


cdef class TaskCoroutine


cdef class TaskStarter:
    """Starts the coroutines of requests.

    A coroutine that goes on as a task is kept in *handlers* until it ends, with its request, and
    `request.register_task(task)` is called. *on_return(request, then, result)* follows a coroutine
    that returns, *on_error(request, error)* one that raises: if True is returned, so does the task.
    """

    cdef object loop
    cdef dict handlers      # (task, request) by the task's id()
    cdef object on_return
    cdef object on_error

    def __init__(self, loop not None, dict handlers not None, on_return, on_error):
        self.loop = loop
        self.handlers = handlers
        self.on_return = on_return
        self.on_error = on_error

    def start(self, inner not None, request, then=None):
        """Run a coroutine's first step, the others as a task, which is returned."""
        cdef TaskCoroutine coroutine = TaskCoroutine.__new__(TaskCoroutine)
        cdef object task, caller
        coroutine.starter = self
        coroutine.inner = inner
        coroutine.request = request
        coroutine.then = then
        if HAS_EAGER_TASKS:
            coroutine.stage = STARTED
            task = Task(coroutine, loop=self.loop, eager_start=True)
            if coroutine.stage != OVER:
                self.keep(coroutine, task)
            return task
        coroutine.context = PyContext_CopyCurrent()
        task = new_task(UnregisteredTask)
        set_coroutine(task, coroutine)
        caller = current_task(self.loop)
        if caller is not None:
            _leave_task(self.loop, caller)
        _enter_task(self.loop, task)
        PyContext_Enter(coroutine.context)
        try:
            coroutine.take_first_step()
        finally:
            PyContext_Exit(coroutine.context)
            _leave_task(self.loop, task)
            if caller is not None:
                _enter_task(self.loop, caller)
        if coroutine.stage == SUSPENDED and type(task) is UnregisteredTask:
            register_task(task)
        return task

    cdef int keep(self, TaskCoroutine coroutine, object task) except -1:
        coroutine.key = PyLong_FromVoidPtr(<void *>task)
        self.handlers[coroutine.key] = (task, coroutine.request)
        # Of the class: the handler may have put attributes in front of the methods.
        type(coroutine.request).register_task(coroutine.request, task)
        return 0


cdef class TaskCoroutine:
    """What a task runs: a coroutine, and what follows it."""

    cdef TaskStarter starter
    cdef object inner
    cdef object request
    cdef object then
    cdef object context
    cdef object key         # of the starter's handlers, while it is one
    cdef object awaited     # what the first step has yielded
    cdef object error       # for the task to raise
    cdef bint is_blocking   # `awaited` is a future, which the task has to wait for
    cdef int stage

    cdef int take_first_step(self) except -1:
        cdef object awaited = self.advance()
        if self.stage == OVER:
            return 0
        self.stage = SUSPENDED
        self.awaited = awaited
        # A task clears this at once, and until then nothing else can await the same future.
        self.is_blocking = getattr(awaited, "_asyncio_future_blocking", None) is True
        if self.is_blocking:
            awaited._asyncio_future_blocking = False
        return 0

    cdef bint has_waited(self) except -1:
        """Return whether the first step's wait was over before the task had its turn.

        Handing the task a future that is done, or a bare yield, would cost another turn.
        """
        return self.awaited.done() if self.is_blocking else self.awaited is None

    cdef object pass_awaited(self):
        """Hand the task what the first step has yielded."""
        cdef object yielded = self.awaited
        self.stage = STARTED
        self.awaited = None
        if self.is_blocking:
            yielded._asyncio_future_blocking = True
        return yielded

    cdef object advance(self):
        """Run a step: what it yields, or None and the stage OVER."""
        cdef PyObject *result = NULL
        cdef object value
        try:
            if PyIter_Send(self.inner, None, &result) == PYGEN_NEXT:
                value = <object>result
                Py_DECREF(value)
                return value
            value = <object>result
            Py_DECREF(value)
            self.follow(value)
        except BaseException as error:      # SystemExit too: a request ends no worker
            self.fail(error)
        self.end()
        return None

    cdef int follow(self, object result) except -1:
        if self.then is None and self.request.answered and not self.request.is_unended:
            return 0
        self.starter.on_return(self.request, self.then, result)
        return 0

    cdef int fail(self, object error) except -1:
        if self.starter.on_error(self.request, error):
            self.error = error
        return 0

    cdef int end(self) except -1:
        self.stage = OVER
        if self.key is not None:
            self.starter.handlers.pop(self.key, None)
        self.request = self.then = self.awaited = self.key = None
        return 0

    cdef int raise_error(self) except -1:
        cdef object error = self.error
        self.error = None
        if error is not None:
            raise error
        return 0

    def __next__(self):
        cdef object yielded
        if self.stage == SUSPENDED:
            if not self.has_waited():
                return self.pass_awaited()
            self.stage = STARTED
            self.awaited = None
        yielded = None if self.stage == OVER else self.advance()
        if self.stage == OVER:
            self.raise_error()
            raise StopIteration
        return yielded

    def send(self, value):
        """Run the next step; a task never sends a value."""
        return next(self)

    def throw(self, error, value=None, traceback=None):
        """Run the next step with an exception."""
        if value is not None:
            error = value
        if self.stage == OVER:
            raise error
        if self.stage == SUSPENDED:
            # As a task cancels what it awaits if it is to be cancelled itself.
            if (self.is_blocking and isinstance(error, CancelledError)
                    and self.awaited.cancel(*error.args)):
                return self.pass_awaited()
            self.stage = STARTED
            self.awaited = None
        try:
            return self.inner.throw(error)
        except StopIteration as end:
            try:
                self.follow(end.value)
            except BaseException as failure:
                self.fail(failure)
        except BaseException as failure:
            self.fail(failure)
        self.end()
        self.raise_error()
        raise StopIteration

    def close(self):
        """Close what it runs."""
        self.inner.close()

    def __await__(self):
        return self

    # What asyncio and kore.tasks() ask a coroutine: where it is, and what it is called.

    @property
    def cr_await(self):
        return self.inner.cr_await

    @property
    def cr_code(self):
        return self.inner.cr_code

    @property
    def cr_frame(self):
        return self.inner.cr_frame

    @property
    def cr_running(self):
        return self.inner.cr_running

    @property
    def __name__(self):
        return self.inner.__name__

    @property
    def __qualname__(self):
        return self.inner.__qualname__


class EagerTask(Task):
    """A task that has taken its first step before asyncio knows it; its type is called `Task`."""

    __slots__ = ("_coroutine",)


class UnregisteredTask(EagerTask):
    """A task in its first step. asyncio does not know it until one of its attributes is used."""

    __slots__ = ()

    def __getattribute__(self, name):
        register_task(self)
        return getattr(self, name)

    def __setattr__(self, name, value):
        register_task(self)
        setattr(self, name, value)

    def __delattr__(self, name):
        register_task(self)
        delattr(self, name)

    def __await__(self):
        register_task(self)
        return self.__await__()

    def __iter__(self):
        register_task(self)
        return self.__iter__()

    def __repr__(self):
        register_task(self)
        return repr(self)


EagerTask.__name__ = UnregisteredTask.__name__ = "Task"

cdef object new_task = Task.__new__
cdef object get_coroutine = EagerTask.__dict__["_coroutine"].__get__
cdef object set_coroutine = EagerTask.__dict__["_coroutine"].__set__
cdef object set_class = object.__dict__["__class__"].__set__


cdef int register_task(object task) except -1:
    """Make an ordinary task of one that is in its first step, or has been."""
    cdef TaskCoroutine coroutine = get_coroutine(task)
    set_class(task, EagerTask)
    Task.__init__(task, coroutine, loop=coroutine.starter.loop, context=coroutine.context)
    if coroutine.stage != OVER:
        coroutine.starter.keep(coroutine, task)
    return 0

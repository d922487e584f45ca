"""A web application platform: the public names as checkers and editors see them.

Only what an application may use. The modules behind it have types of their own.
"""

from typing import Final, TypeAlias

from kore import errors as errors
from kore._httpclient.curlopts import *
from kore._types.client import CurlHandle as _CurlHandle
from kore._types.client import HttpClient as _HttpClient
from kore._types.client import curl as curl
from kore._types.client import httpclient as httpclient
from kore._types.configuration import Domain as _Domain
from kore._types.configuration import bind as bind
from kore._types.configuration import bind_unix as bind_unix
from kore._types.configuration import dbsetup as dbsetup
from kore._types.configuration import domain as domain
from kore._types.configuration import prerequest as prerequest
from kore._types.configuration import privsep as privsep
from kore._types.configuration import route as route
from kore._types.configuration import server as server
from kore._types.configuration import tracer as tracer
from kore._types.connection import Connection as Connection
from kore._types.database import dbexecute as dbexecute
from kore._types.database import dbpipeline as dbpipeline
from kore._types.database import dbquery as dbquery
from kore._types.database import dbstream as dbstream
from kore._types.database import listen as listen
from kore._types.database import transaction as transaction
from kore._types.process import app as app
from kore._types.process import blocking as blocking
from kore._types.process import fatal as fatal
from kore._types.process import fatalx as fatalx
from kore._types.process import log as log
from kore._types.process import sendobj as sendobj
from kore._types.process import sendobj_drained as sendobj_drained
from kore._types.process import setname as setname
from kore._types.process import shutdown as shutdown
from kore._types.process import sigtrap as sigtrap
from kore._types.process import time as time
from kore._types.process import websocket_broadcast as websocket_broadcast
from kore._types.process import worker as worker
from kore._types.request import Request as Request
from kore._types.request import Upload as Upload
from kore._types.settings import Configuration as _Configuration
from kore._types.toolkit import Gather as _Gather
from kore._types.toolkit import Lock as _Lock
from kore._types.toolkit import Process as _Process
from kore._types.toolkit import Queue as _Queue
from kore._types.toolkit import Socket as _Socket
from kore._types.toolkit import Timer as _Timer
from kore._types.toolkit import coroname as coroname
from kore._types.toolkit import corotrace as corotrace
from kore._types.toolkit import socket_wrap as socket_wrap
from kore._types.toolkit import suspend as suspend
from kore._types.toolkit import task_create as task_create
from kore._types.toolkit import task_id as task_id
from kore._types.toolkit import task_kill as task_kill
from kore._types.toolkit import tasks as tasks

config: Final[_Configuration]
register_database = dbsetup

gather: TypeAlias = _Gather
lock: TypeAlias = _Lock
proc: TypeAlias = _Process
queue: TypeAlias = _Queue
timer: TypeAlias = _Timer

pyconnection: TypeAlias = Connection
pycurlhandle: TypeAlias = _CurlHandle
pydomain: TypeAlias = _Domain
pyhttp_file: TypeAlias = Upload
pyhttp_request: TypeAlias = Request
pyhttpclient: TypeAlias = _HttpClient
pylock: TypeAlias = _Lock
pyproc: TypeAlias = _Process
pyqueue: TypeAlias = _Queue
pysocket: TypeAlias = _Socket
pytimer: TypeAlias = _Timer

CONN_PROTO_HTTP: Final = 1
CONN_PROTO_UNKNOWN: Final = 0
CONN_PROTO_WEBSOCKET: Final = 2
CONN_STATE_DISCONNECTING: Final = 3
CONN_STATE_ESTABLISHED: Final = 2
HTTP_METHOD_DELETE: Final = 16
HTTP_METHOD_GET: Final = 1
HTTP_METHOD_HEAD: Final = 32
HTTP_METHOD_OPTIONS: Final = 64
HTTP_METHOD_PATCH: Final = 128
HTTP_METHOD_POST: Final = 2
HTTP_METHOD_PUT: Final = 4
LOG_ALERT: Final = 1
LOG_CRIT: Final = 2
LOG_DEBUG: Final = 7
LOG_EMERG: Final = 0
LOG_ERR: Final = 3
LOG_INFO: Final = 6
LOG_NOTICE: Final = 5
LOG_WARNING: Final = 4
MODULE_LOAD: Final = 1
MODULE_UNLOAD: Final = 2
RESULT_ERROR: Final = 0
RESULT_OK: Final = 1
RESULT_RETRY: Final = 2
TIMER_ONESHOT: Final = 1
WEBSOCKET_BROADCAST_GLOBAL: Final = 2
WEBSOCKET_BROADCAST_LOCAL: Final = 1
WEBSOCKET_OP_BINARY: Final = 2
WEBSOCKET_OP_TEXT: Final = 1

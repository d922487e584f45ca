"""A web application platform: the public names, and nothing else."""

import typing as _typing

from kore import errors as errors
from kore._api import CONN_PROTO_HTTP as CONN_PROTO_HTTP
from kore._api import CONN_PROTO_UNKNOWN as CONN_PROTO_UNKNOWN
from kore._api import CONN_PROTO_WEBSOCKET as CONN_PROTO_WEBSOCKET
from kore._api import CONN_STATE_DISCONNECTING as CONN_STATE_DISCONNECTING
from kore._api import CONN_STATE_ESTABLISHED as CONN_STATE_ESTABLISHED
from kore._api import LOG_ALERT as LOG_ALERT
from kore._api import LOG_CRIT as LOG_CRIT
from kore._api import LOG_DEBUG as LOG_DEBUG
from kore._api import LOG_EMERG as LOG_EMERG
from kore._api import LOG_ERR as LOG_ERR
from kore._api import LOG_INFO as LOG_INFO
from kore._api import LOG_NOTICE as LOG_NOTICE
from kore._api import LOG_WARNING as LOG_WARNING
from kore._api import MODULE_LOAD as MODULE_LOAD
from kore._api import MODULE_UNLOAD as MODULE_UNLOAD
from kore._api import RESULT_ERROR as RESULT_ERROR
from kore._api import RESULT_OK as RESULT_OK
from kore._api import RESULT_RETRY as RESULT_RETRY
from kore._api import TIMER_ONESHOT as TIMER_ONESHOT
from kore._api import WEBSOCKET_BROADCAST_GLOBAL as WEBSOCKET_BROADCAST_GLOBAL
from kore._api import WEBSOCKET_BROADCAST_LOCAL as WEBSOCKET_BROADCAST_LOCAL
from kore._api import WEBSOCKET_OP_BINARY as WEBSOCKET_OP_BINARY
from kore._api import WEBSOCKET_OP_TEXT as WEBSOCKET_OP_TEXT
from kore._api import app as app
from kore._api import bind as bind
from kore._api import bind_unix as bind_unix
from kore._api import config as config
from kore._api import domain as domain
from kore._api import fatal as fatal
from kore._api import fatalx as fatalx
from kore._api import log as log
from kore._api import prerequest as prerequest
from kore._api import privsep as privsep
from kore._api import pydomain as pydomain
from kore._api import route as route
from kore._api import sendobj as sendobj
from kore._api import sendobj_drained as sendobj_drained
from kore._api import server as server
from kore._api import setname as setname
from kore._api import shutdown as shutdown
from kore._api import sigtrap as sigtrap
from kore._api import time as time
from kore._api import tracer as tracer
from kore._api import websocket_broadcast as websocket_broadcast
from kore._api import worker as worker
from kore._http.tables import HTTP_METHOD_DELETE as HTTP_METHOD_DELETE
from kore._http.tables import HTTP_METHOD_GET as HTTP_METHOD_GET
from kore._http.tables import HTTP_METHOD_HEAD as HTTP_METHOD_HEAD
from kore._http.tables import HTTP_METHOD_OPTIONS as HTTP_METHOD_OPTIONS
from kore._http.tables import HTTP_METHOD_PATCH as HTTP_METHOD_PATCH
from kore._http.tables import HTTP_METHOD_POST as HTTP_METHOD_POST
from kore._http.tables import HTTP_METHOD_PUT as HTTP_METHOD_PUT

if _typing.TYPE_CHECKING:
    from kore._aio.gather import Gather as gather
    from kore._aio.lock import Lock as lock
    from kore._aio.lock import Lock as pylock
    from kore._aio.proc import Process as proc
    from kore._aio.proc import Process as pyproc
    from kore._aio.queue import Queue as pyqueue
    from kore._aio.queue import Queue as queue
    from kore._aio.socket import Socket as pysocket
    from kore._aio.socket import socket_wrap as socket_wrap
    from kore._aio.suspend import suspend as suspend
    from kore._aio.timer import Timer as pytimer
    from kore._aio.timer import Timer as timer
    from kore._clients import curl as curl
    from kore._clients import httpclient as httpclient
    from kore._core.connection import Connection as pyconnection
    from kore._core.request import Request as pyhttp_request
    from kore._http.files import HttpFile as pyhttp_file
    from kore._httpclient.client import HttpClient as pyhttpclient
    from kore._httpclient.curl import CurlHandle as pycurlhandle
    from kore._httpclient.names import *  # noqa: F403 - 279 of one kind
    from kore._tasks import coroname as coroname
    from kore._tasks import corotrace as corotrace
    from kore._tasks import task_create as task_create
    from kore._tasks import task_id as task_id
    from kore._tasks import task_kill as task_kill
    from kore._tasks import tasks as tasks
else:  # when somebody asks for them: the parent never does
    from kore._api import loaded as __getattr__

"""The hooks that the core calls in a worker, as one object."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerHooks:
    """The hooks of a worker; `kore._core.server_context` says what each is called for."""

    start_task: Callable[..., object]
    send_stream: Callable[..., None]
    discard_stream: Callable[..., None]
    report_failure: Callable[..., None]
    log_refusal: Callable[..., None]
    call_soon: Callable[..., object]
    call_later: Callable[..., object]
    create_future: Callable[[], Any]
    make_request_data: Callable[..., Any]
    make_body_sink: Callable[..., Any]
    call_on_headers: Callable[..., bool]
    release_body: Callable[..., None]
    query: Callable[..., Any]
    websockets: Any

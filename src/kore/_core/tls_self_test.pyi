"""A handshake in memory, before a TLS context is used; see tls_self_test.pyx."""

from collections.abc import Callable

from kore._core.tls_context import TlsContext

def start_self_test(context: TlsContext, on_done: Callable[[str], object]) -> None: ...

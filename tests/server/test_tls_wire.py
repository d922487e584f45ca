"""The raw cases over TLS: the same responses, and an orderly end of the session.

The sequences of bytes are those of the files test_wire_*.py. A case that is sent byte by byte has a
record for each byte.
"""

import pytest

from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.served_certificates import SessionCertificates
from tests.helpers.wire import Case, both_ways, check
from tests.server import (
    test_wire_basics,
    test_wire_bodies,
    test_wire_chunked,
    test_wire_fields,
    test_wire_lines,
    test_wire_targets,
)
from tests.server.conftest import WIRE_APP

CASES = [
    *test_wire_basics.BASIC,
    *test_wire_basics.CONNECTION,
    *test_wire_basics.PIPELINING,
    *test_wire_basics.VERSIONS,
    *test_wire_basics.UPGRADE,
    *test_wire_bodies.LENGTHS,
    *test_wire_bodies.SMUGGLING,
    *test_wire_chunked.CODINGS,
    *test_wire_chunked.EXPECTATIONS,
    *test_wire_fields.FIELDS,
    *test_wire_fields.LINE_ENDS,
    *test_wire_fields.LIMITS,
    *test_wire_lines.METHODS,
    *test_wire_lines.LINES,
    *test_wire_targets.TARGETS,
    *test_wire_targets.HOSTS,
]


@pytest.fixture(scope="module")
def over_tls(serve_thread: ThreadLauncher, certificates: SessionCertificates) -> ThreadServer:
    return serve_thread(WIRE_APP, tls=certificates.server())


@both_ways(CASES)
def test_a_raw_case_has_the_same_result_over_tls(over_tls: ThreadServer, case: Case) -> None:
    check(over_tls, case)

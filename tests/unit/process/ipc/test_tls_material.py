import json
from typing import Any

import pytest

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_material import DomainMaterial, MaterialCertificate, decode_material

MATERIAL = DomainMaterial("tls", "a.test", "0A", (MaterialCertificate(56, "PEM"),), "CA", 1, "CRL")
PLAIN: dict[str, Any] = json.loads(MATERIAL.encode())


def test_decoded_material_equals_the_encoded_one() -> None:
    assert decode_material(MATERIAL.encode()) == MATERIAL


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({**PLAIN, "more": 1}).encode(),
        json.dumps({**PLAIN, "certificates": []}).encode(),
        json.dumps({**PLAIN, "certificates": [{}]}).encode(),
        json.dumps({**PLAIN, "certificates": PLAIN["certificates"] * 9}).encode(),
        json.dumps({**PLAIN, "client_ca_pem": None}).encode(),
        json.dumps({**PLAIN, "crl_pem": 5}).encode(),
        json.dumps({**PLAIN, "server": ["tls"]}).encode(),
    ],
)
def test_malformed_material_is_refused(bad: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed TLS material"):
        decode_material(bad)

"""The TLS material of a domain: what workers need to serve it, without private keys. Pure.

The key process makes it, workers read it. It is JSON, since PEM is text.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_messages import CERTIFICATES_MAX

# CA certificates and revocation lists may be long.
SIZE_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MaterialCertificate:
    """A certificate: the number of its key in the key process, and its chain in PEM."""

    key_id: int
    chain_pem: str


@dataclass(frozen=True, slots=True)
class DomainMaterial:
    """The TLS material of a domain."""

    server: str
    domain: str
    # For the log: the serial numbers.
    serial: str
    certificates: tuple[MaterialCertificate, ...]
    # CA certificates in PEM; empty: no client certificates are requested.
    client_ca_pem: str
    verify_depth: int
    crl_pem: str

    def encode(self) -> bytes:
        """Return the material as bytes."""
        return json.dumps(asdict(self)).encode()


def decode_material(content: bytes) -> DomainMaterial:
    """Return the material that encode() has written. Raises ProtocolError if it is malformed."""
    try:
        fields: dict[str, Any] = json.loads(content)
        certificates = [MaterialCertificate(**entry) for entry in fields.pop("certificates")]
        material = DomainMaterial(certificates=tuple(certificates), **fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ProtocolError("malformed TLS material") from None
    texts = (material.server, material.domain, material.client_ca_pem, material.crl_pem)
    if not 0 < len(certificates) <= CERTIFICATES_MAX or not all(
        type(text) is str for text in texts
    ):
        raise ProtocolError("malformed TLS material")
    return material

"""A domain that the key process has loaded: its keys, and its material for the workers. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, CertificateRevocationList

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_material import DomainMaterial, MaterialCertificate
from kore._process.ipc.tls_messages import number_key
from kore._process.keymgr.certificates import check_domain, format_serial
from kore._process.keymgr.pem_files import CheckedDomain, DomainFile, PrivateKey


@dataclass(frozen=True, slots=True)
class LoadedDomain:
    """The content of a domain's files, checked and in use."""

    domain_id: int
    load: int
    server: str
    domain: str
    verify_depth: int
    files: tuple[DomainFile, ...]
    checked: CheckedDomain

    def list_keys(self) -> Iterator[tuple[int, PrivateKey]]:
        """Yield each private key, after its number."""
        for index, pair in enumerate(self.checked.pairs):
            yield number_key(self.load, index), pair.key

    @property
    def serial(self) -> str:
        """The serial numbers of its certificates, for the log."""
        return ", ".join(format_serial(pair.certificate) for pair in self.checked.pairs)

    @property
    def not_after(self) -> datetime:
        """When the first of its certificates expires."""
        return min(pair.certificate.not_valid_after_utc for pair in self.checked.pairs)

    def has_content(self, files: Sequence[DomainFile]) -> bool:
        """Return whether *files* have the content that is in use."""
        return [one.content for one in files] == [one.content for one in self.files]

    def make_material(self) -> DomainMaterial:
        """Return what workers need."""
        pairs = enumerate(self.checked.pairs)
        return DomainMaterial(
            server=self.server,
            domain=self.domain,
            serial=self.serial,
            certificates=tuple(
                MaterialCertificate(number_key(self.load, index), pair.chain_pem.decode())
                for index, pair in pairs
            ),
            client_ca_pem=_join(self.checked.client_ca),
            verify_depth=self.verify_depth,
            crl_pem=_join(self.checked.crls),
        )

    def encode(self) -> bytes:
        """Return all of it, private keys included, for `restore_domain()`."""
        files = [
            {"kind": one.kind, "path": one.path, "content": one.content.decode("latin-1")}
            for one in self.files
        ]
        fields = {
            "domain_id": self.domain_id,
            "load": self.load,
            "server": self.server,
            "domain": self.domain,
            "verify_depth": self.verify_depth,
            "files": files,
        }
        return json.dumps(fields).encode()


def restore_domain(content: bytes, now: datetime) -> LoadedDomain:
    """Return the domain that `LoadedDomain.encode()` has written.

    It is in use, so it is not refused for what is wrong with it now: it may have expired. Raises
    ProtocolError if its keys cannot be read.
    """
    fields = json.loads(content)
    files = tuple(
        DomainFile(one["kind"], one["path"], one["content"].encode("latin-1"))
        for one in fields.pop("files")
    )
    checked = check_domain(fields["domain"], files, now)
    if not checked.pairs:
        raise ProtocolError(f"cannot restore {fields['domain']}: {checked.problems[0]}")
    return LoadedDomain(files=files, checked=checked, **fields)


def _join(parts: Sequence[Certificate | CertificateRevocationList]) -> str:
    """Return certificates or revocation lists as one text in PEM."""
    return b"".join(part.public_bytes(Encoding.PEM) for part in parts).decode()

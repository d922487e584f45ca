"""The TLS directives of domain blocks in kore.conf."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from kore._conf import domain_tls
from kore._conf.arguments import check_path_name
from kore._conf.domain_tls import TlsOptions
from kore._conf.file.directives import Directive, Scope, Table, read_flag, read_number
from kore._conf.file.syntax import Block
from kore.errors import ConfigError

# Names of the same in Python, and of nginx, with hints.
OTHER_NAMES: Final = MappingProxyType(
    {
        **dict.fromkeys(("cert", "ssl_certificate"), "write `certfile PATH` in a domain block"),
        **dict.fromkeys(("key", "ssl_certificate_key"), "write `certkey PATH` in a domain block"),
        **dict.fromkeys(("crl", "ssl_crl"), "write `client_verify CA CRL` in a domain block"),
        "verify_depth": "write `client_verify_depth NUMBER` in a domain block",
    }
)


@dataclass(slots=True)
class TlsScope(Scope):
    """A domain block as its TLS directives see it."""

    name: str = ""
    attach: str = ""
    # Absolute paths, by directive, in order.
    paths: dict[str, list[str]] = field(default_factory=dict)
    verify_depth: int = domain_tls.DEFAULT_DEPTH
    acme: bool = False
    # The TLS statements, for notices.
    tls_blocks: list[Block] = field(default_factory=list)

    def get_path(self, keyword: str) -> str:
        """Return the path of a directive that stands once; empty without it."""
        return self.paths.get(keyword, [""])[0]


def build_options(scope: TlsScope) -> TlsOptions:
    """Return what the statements of a block add up to."""
    files = [block for block in scope.tls_blocks if block.keyword in ("certfile", "certkey")]
    return TlsOptions(
        certificates=tuple(scope.paths.get("certfile", ())),
        keys=tuple(scope.paths.get("certkey", ())),
        client_verify=scope.get_path("client_verify"),
        verify_depth=scope.verify_depth,
        crl=scope.get_path("crl"),
        acme=scope.acme,
        where=files[0].where if files else "",
        in_file=True,
        broken=scope.broken,
    )


def check_server(scope: TlsScope) -> None:
    """Add a notice for each TLS statement of a domain whose server is without TLS."""
    builder = scope.context.builder
    server = builder.servers.get(scope.attach)
    if server is None or server.tls:
        return
    for block in scope.tls_blocks:
        with builder.problems.collect_errors(block.where):
            label = f"{scope.label}: {block.keyword}"
            notice = domain_tls.describe_ignored(block.keyword, label, scope.attach)
            scope.context.add_notice(block, notice)


def _read_path(scope: TlsScope, block: Block) -> None:
    """Read `certfile PATH` and `certkey PATH`."""
    paths = scope.paths.get(block.keyword, [])
    added = [*paths, *_resolve_paths(scope, block, block.arguments)]
    scope.paths[block.keyword] = list(domain_tls.check_paths(added, block.keyword))
    scope.tls_blocks.append(block)


def _resolve_paths(scope: TlsScope, block: Block, words: Sequence[str]) -> list[str]:
    """Return the paths of a statement as absolute ones."""
    loader = scope.context.loader
    return [loader.resolve_path(check_path_name(word, block.keyword)) for word in words]


def read_client_verify(scope: TlsScope, block: Block) -> None:
    """Read `client_verify CA [CRL]`."""
    if block.keyword in scope.paths:
        raise ConfigError(f"client_verify already set for '{scope.name}'")
    resolved = _resolve_paths(scope, block, block.arguments)
    for keyword, path in zip(("client_verify", "crl"), resolved, strict=False):
        scope.paths[keyword] = [path]
    scope.tls_blocks.append(block)


def _read_client_verify_depth(scope: TlsScope, block: Block) -> None:
    """Read `client_verify_depth N`."""
    scope.verify_depth = read_number(block, 0, 0, domain_tls.DEPTH_MAX)
    scope.tls_blocks.append(block)


def _read_acme(scope: TlsScope, block: Block) -> None:
    """Read `acme yes|no`."""
    if not read_flag(block):
        return
    if "*" in scope.name:
        raise ConfigError("acme: wildcards not supported due to lack of dns-01")
    scope.acme = True
    scope.tls_blocks.append(block)


TLS: Final[Table] = MappingProxyType(
    {
        "certfile": Directive(
            _read_path,
            "PATH",
            "The certificate and its chain, in PEM. Twice, with a `certkey` for each: one for an "
            "ECDSA key, one for an RSA key.",
        ),
        "certkey": Directive(_read_path, "PATH", "The private key, in PEM."),
        "client_verify": Directive(
            read_client_verify,
            "CA [CRL]",
            "Require certificates of this authority from clients, except those that the list "
            "revokes.",
        ),
        "client_verify_depth": Directive(
            _read_client_verify_depth,
            "NUMBER",
            "Certificates between a client's and the authority's; default 1.",
        ),
        "acme": Directive(
            _read_acme, "yes|no", "Get the certificate by ACME; default no.", unsupported=True
        ),
    }
)

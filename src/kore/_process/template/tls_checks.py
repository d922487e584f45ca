"""Check certificates and keys for `kore -t`, as the key process does when a server starts."""

from datetime import UTC, datetime

from kore._conf.server_schema import DomainTls
from kore._process.ipc.channel import close_descriptors
from kore._process.parent.domain_files import DomainFiles
from kore.errors import ConfigError


def check_certificates(domains: tuple[DomainTls, ...]) -> list[str]:
    """Return warnings about the files of these domains.

    Raises ConfigError, with a line for each problem, if no server could start with them.
    """
    problems: list[str] = []
    warnings: list[str] = []
    for domain in domains:
        found_problems, found_warnings = _check_domain(domain)
        problems += map(domain.locate, found_problems)
        warnings += map(domain.locate, found_warnings)
    if problems:
        raise ConfigError("\n".join(problems))
    return warnings


def _check_domain(domain: DomainTls) -> tuple[list[str], list[str]]:
    """Return problems and warnings about the files of a domain."""
    # Only with TLS: the library is large.
    from kore._process.keymgr.certificates import check_domain
    from kore._process.keymgr.domain_reader import read_domain_files
    from kore._process.keymgr.expiry import list_expiry_warnings

    files = DomainFiles(domain)
    descriptors, problems = files.open_all()
    if problems:
        return list(problems), []
    try:
        read = read_domain_files(files.kinds, files.paths, descriptors)
    finally:
        close_descriptors(descriptors)
    now = datetime.now(UTC)
    checked = check_domain(domain.domain, read, now)
    return checked.problems, [*checked.warnings, *list_expiry_warnings(checked, now)]

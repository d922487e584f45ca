"""Whether the names in a certificate cover a domain, as clients compare them (RFC 9525). Pure."""

from collections.abc import Iterable
from ipaddress import ip_address


def is_name_covered(domain: str, names: Iterable[str], addresses: Iterable[str]) -> bool:
    """Return whether a certificate with these DNS names and IP addresses is for *domain*.

    A domain with wildcards is covered if one name of the certificate can be a host of it.
    """
    wanted = domain.lower()
    known = [name.lower() for name in names]
    if address := _get_address(wanted):
        return address in map(_get_address, addresses)
    if wanted.strip("*.") == "":
        return True
    if wanted.startswith("*."):
        # Hosts of any depth; a certificate's wildcard is for one label.
        return any(name.endswith(wanted[1:]) for name in known)
    if "*" in wanted:
        return True
    parent = wanted.partition(".")[2]
    return wanted in known or f"*.{parent}" in known


def _get_address(text: str) -> str:
    """Return an IP address in its shortest form, nothing for a name."""
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return ""

"""Which addresses are public. What a name in a manifest leads to is reached only there, unless the operator opens more (rule 13b)."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

# The IANA registries of special-purpose addresses, and addresses at which clouds keep credentials. The first that holds an address names it.
_IPV4: Final = tuple(
    (IPv4Network(network), word)
    for network, word in (
        ("168.63.129.16/32", "a metadata"),
        ("0.0.0.0/8", "an unspecified"),
        ("10.0.0.0/8", "a private"),
        ("100.64.0.0/10", "a carrier's shared (CGNAT)"),
        ("127.0.0.0/8", "a loopback"),
        ("169.254.0.0/16", "a link-local"),
        ("172.16.0.0/12", "a private"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a 6to4"),
        ("192.168.0.0/16", "a private"),
        ("198.18.0.0/15", "a benchmarking"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
    )
)
_IPV6: Final = tuple(
    (IPv6Network(network), word)
    for network, word in (
        ("::/128", "an unspecified"),
        ("::1/128", "a loopback"),
        ("::ffff:0:0/96", "an IPv4-mapped"),
        ("::/96", "an IPv4-compatible"),
        ("64:ff9b::/96", "a NAT64"),
        ("64:ff9b:1::/48", "a NAT64"),
        ("fc00::/7", "a unique local"),
        ("fe80::/10", "a link-local"),
        ("fec0::/10", "a site-local"),
        ("ff00::/8", "a multicast"),
        ("2001::/32", "a Teredo"),
        ("2001:db8::/32", "a documentation"),
        ("2001::/23", "a reserved"),
        ("2002::/16", "a 6to4"),
        ("3fff::/20", "a documentation"),
    )
)
_PUBLIC: Final = IPv6Network("2000::/3")


def describe_refused(address: Address) -> str:
    """What kind of address it is, with its article, where it is not a public one; empty for a public one."""
    if isinstance(address, IPv4Address):
        return next((word for network, word in _IPV4 if address in network), "")
    found = next((word for network, word in _IPV6 if address in network), "")
    return found or ("" if address in _PUBLIC else "a reserved")


def read_literal(host: str) -> Address | None:
    """
    The address that a host is, in any spelling that a resolver would take for one (`127.1`, `0x7f000001`, `017700000001`, `::1`); None for
    a name. Raises ValueError for what looks like an address and is none.
    """
    text = host.removesuffix(".") if ":" not in host else host
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        pass
    last = text.rpartition(".")[2].lower()
    if ":" in text or last.isdigit() or (last.startswith("0x") and last.isalnum()):  # the WHATWG URL standard: it ends in a number
        raise ValueError(f"{host} looks like an address and is none")
    return None

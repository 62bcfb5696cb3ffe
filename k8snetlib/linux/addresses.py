"""``ip_address``, ``ip_network`` and ``ip_interface`` as in ``ipaddress``, each answer remembered.

The values are immutable, and the same few addresses are asked for again and again while a cluster is read and built: parsing them
took a third of that time.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network


@lru_cache(maxsize=1 << 16)
def ip_address(address: str | int) -> IPv4Address | IPv6Address:
    """As ``ipaddress.ip_address``, which reads an IPv6 address as an IPv4 one first, to see that fail. ValueError for what is neither."""
    if address.__class__ is str:
        try:
            return IPv6Address(address) if ":" in address else IPv4Address(address)
        except ValueError:
            pass  # said below, of both families
    return ipaddress.ip_address(address)


ip_network = lru_cache(maxsize=1 << 16)(ipaddress.ip_network)
ip_interface = lru_cache(maxsize=1 << 16)(ipaddress.ip_interface)

ANY = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
"""The destination of a default route, by IP version."""


@lru_cache(maxsize=1 << 16)
def with_length(address: IPv4Address | IPv6Address, length: int) -> IPv4Interface | IPv6Interface:
    """The address with the prefix length of its network, as ``ip_interface`` gives it. ValueError for a length that there is not.

    The addresses of one network share the value that stands for it; that the standard library makes one for each of them takes two
    thirds of its time.
    """
    return interface_of(address.version, int(address), length)


def interface_of(version: int, value: int, length: int) -> IPv4Interface | IPv6Interface:
    """As ``with_length``, for the address with that number."""
    kind, bits = (IPv4Interface, 32) if version == 4 else (IPv6Interface, 128)
    if not 0 <= length <= bits:
        return kind((value, length))  # says what is wrong
    return within(_network(version, value >> (bits - length), length), value)


def within(network: IPv4Network | IPv6Network, value: int) -> IPv4Interface | IPv6Interface:
    """The address with that number, which lies in the network, as ``ip_interface`` gives it."""
    base, kind = (IPv4Address, IPv4Interface) if network.__class__ is IPv4Network else (IPv6Address, IPv6Interface)
    new = kind.__new__(kind)
    base.__init__(new, value)
    # all that its __init__ sets; a test holds them together
    new.network, new.netmask, new._prefixlen = network, network.netmask, network._prefixlen
    return new


def network_around(address: IPv4Address | IPv6Address, length: int) -> IPv4Network | IPv6Network:
    """The network of that prefix length in which the address lies. ValueError for a length that there is not."""
    version = address.version
    bits = 32 if version == 4 else 128
    return _network(version, int(address) >> max(0, bits - length), length)


@lru_cache(maxsize=1 << 16)
def _network(version: int, prefix: int, length: int) -> IPv4Network | IPv6Network:
    """The network with those leading bits."""
    kind, bits = (IPv4Network, 32) if version == 4 else (IPv6Network, 128)
    return kind((prefix << max(0, bits - length), length))


def ends(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """The first and the last address of a network, as numbers."""
    first = int(network.network_address)
    return first, first | (1 << network.max_prefixlen) - 1 ^ int(network.netmask)


def endpoint(address: IPv4Address | IPv6Address, port: int) -> str:
    """An address with a port as text: ``10.0.0.1:80``, ``[fd00::1]:80`` (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

"""The API server's rules for single values: names, labels, ports and addresses. Each returns what is wrong, or ``""``.

Sources: apimachinery's ``util/validation`` and the core validation of Kubernetes 1.36 (strict addresses: KEP-4858).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any

from ..linux.addresses import ip_address, ip_network, network_around
from .objects import IPAddress, IPNetwork
from .schema import Fault, literal
from .schema_places import Path

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PORT_NAME, _LETTER, _LENGTH = re.compile(r"[-a-z0-9]+"), re.compile(r"[a-z]"), re.compile(r"0|[1-9][0-9]*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LOCAL_MULTICAST = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}
NODE_PORT_RANGE = range(30000, 32768)
"""The API server's default ``--service-node-port-range``."""


def invalid(value: object, why: str) -> str:
    """The API server's "invalid value" for a string."""
    return f"invalid value {literal(value)}: {why}"


def dns_label(value: str) -> str:
    """RFC 1123 label, such as a container's or a namespace's name."""
    if len(value) > 63:
        return invalid(value, "must be no more than 63 characters")
    if not _LABEL.fullmatch(value):
        return invalid(value, 'an RFC 1123 label has only a-z, 0-9 and "-", and starts and ends with a letter or digit')
    return ""


def dns_subdomain(value: str) -> str:
    """RFC 1123 subdomain: the name of most objects."""
    if len(value) > 253:
        return invalid(value, "must be no more than 253 characters")
    if not _SUBDOMAIN.fullmatch(value):
        return invalid(value, 'an RFC 1123 subdomain has only a-z, 0-9, "-" and ".", and starts and ends with a letter or digit')
    return ""


def path_segment(value: str) -> str:
    """What every name has to be, since it stands in a URL's path (ValidatePathSegmentName)."""
    if value in (".", ".."):
        return invalid(value, f"may not be {literal(value)}")
    return next((invalid(value, f"may not contain {literal(each)}") for each in "/%" if each in value), "")


def service_name(value: str) -> str:
    """A Service's name is one DNS label (1.36 lets it start with a digit)."""
    return invalid(value, "must not contain dots") if "." in value else dns_label(value)


@lru_cache(maxsize=4096)
def qualified_name(value: str) -> str:
    """The key of a label or annotation: an optional DNS subdomain and "/", then a name of up to 63 characters."""
    prefix, slash, name = value.rpartition("/")
    if slash and (dns_subdomain(prefix) or "/" in prefix):
        return invalid(value, 'the part before "/" must be a DNS subdomain')
    if len(name) > 63:
        return invalid(value, "the name must be no more than 63 characters")
    if not _QUALIFIED.fullmatch(name):
        return invalid(value, 'the name has only letters, digits, "-", "_" and ".", and starts and ends with a letter or digit')
    return ""


@lru_cache(maxsize=4096)
def label_value(value: str) -> str:
    """The value of a label: up to 63 characters, or empty."""
    if len(value) > 63:
        return invalid(value, "must be no more than 63 characters")
    if value and not _QUALIFIED.fullmatch(value):
        return invalid(value, 'a label has only letters, digits, "-", "_" and ".", and starts and ends with a letter or digit')
    return ""


def port_name(value: str) -> str:
    """IANA service name (RFC 6335): up to 15 of a-z, 0-9 and "-", with a letter; the name of a container port, or a targetPort."""
    if len(value) > 15:
        return invalid(value, "must be no more than 15 characters")
    if not _PORT_NAME.fullmatch(value):
        return invalid(value, 'a port name has only a-z, 0-9 and "-"')
    if not _LETTER.search(value):
        return invalid(value, "must contain at least one letter (a-z); a port number is written without quotes")
    if "--" in value:
        return invalid(value, "must not contain consecutive hyphens")
    return invalid(value, "must not begin or end with a hyphen") if value.strip("-") != value else ""


def port_number(value: float) -> str:
    return "" if 1 <= value <= 65535 else f"invalid value {value}: must be between 1 and 65535, inclusive"


def special_address(value: IPAddress) -> str:
    """Addresses that nothing may be forwarded to: unspecified, loopback and link-local ones."""
    if value.is_unspecified:
        return invalid(value, f"may not be unspecified ({value})")
    if value.is_loopback:
        return invalid(value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if value.is_link_local:
        return invalid(value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if value in _LOCAL_MULTICAST[value.version]:
        return invalid(value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/16)")
    return ""


def require(problem: str, *path: str | int, at: Path | None = None) -> None:
    """Raises :class:`Fault` at ``path`` if there is a problem."""
    if problem:
        raise Fault(problem, path, at=at)


def not_negative(data: Mapping[str, Any], fields: Iterable[str], path: Path) -> None:
    """Raises Fault for the first of the fields that is below 0."""
    for field in fields:
        value = data.get(field, 0)
        require("" if value >= 0 else f"invalid value {value}: must be greater than or equal to 0", *path, field)


def address(text: str, *path: str | int, at: Path | None = None) -> IPAddress:
    """An IP address in the strict form that 1.36 wants: no leading zeros, no zone, no IPv4-mapped IPv6."""
    try:
        value = ip_address(text) if "%" not in text else None
    except ValueError:
        value = None
    if value is None:
        leading = re.search(r"(^|\.)0\d", text) and "must not have leading 0s"
        raise Fault(invalid(text, f"{leading or 'must be a valid IP address (such as 10.9.8.7 or 2001:db8::ffff)'}"), path, at=at)
    if isinstance(value, IPv6Address) and value.ipv4_mapped:
        raise Fault(invalid(text, "must not be an IPv4-mapped IPv6 address"), path, at=at)
    return value


def network(text: str, *path: str | int, at: Path | None = None) -> IPNetwork:
    """A CIDR value in its canonical form: a prefix length, and no bits set beyond it."""
    head, slash, length = text.partition("/")
    try:
        if not slash or not _LENGTH.fullmatch(length) or "%" in text:
            raise ValueError
        first = ip_address(head)
        loose = network_around(first, int(length))
    except ValueError:
        raise Fault(invalid(text, "must be a valid CIDR value (such as 10.9.8.0/24 or 2001:db8::/64)"), path, at=at) from None
    if loose.network_address != first:
        raise Fault(invalid(text, "must not have bits set beyond the prefix length"), path, str(loose), at=at)
    return loose

"""Frames and packets to bytes and back, checksums right: what a capture holds and what the lab sends.

``to_bytes`` and ``from_bytes`` are each other's inverse on everything the model can make (a property test says so).
Checksums: the Internet checksum of RFC 1071 over the pseudo header where there is one, CRC32c for SCTP (RFC 9260 appendix A).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from ..errors import ModelError
from .packet import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    PROTO_NUMBERS,
    Arp,
    Fragment,
    Frame,
    Icmp,
    IPAddress,
    Ndp,
    Packet,
    Raw,
    Redirect,
    Sctp,
    Tcp,
    Udp,
    Vxlan,
)

TCP_FLAGS = "FSRPAUEC"
VXLAN_PORTS = frozenset({4789, 8472})


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of the bytes, 16 bits."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def to_bytes(item: Frame | Packet) -> bytes:
    """The frame (with its Ethernet header) or the packet (from its IP header on) as it is on the wire."""
    if isinstance(item, Frame):
        body = _arp_bytes(item.payload) if isinstance(item.payload, Arp) else _packet_bytes(item.payload)
        return body if item.bare else mac_bytes(item.dst) + mac_bytes(item.src) + struct.pack("!H", item.ethertype) + body
    return _packet_bytes(item)


def _arp_bytes(arp: Arp) -> bytes:
    head = struct.pack("!HHBBH", 1, ETHERTYPE_IPV4, 6, 4, arp.op)
    return head + mac_bytes(arp.sender_mac) + arp.sender_ip.packed + mac_bytes(arp.target_mac) + arp.target_ip.packed


def _packet_bytes(packet: Packet) -> bytes:
    payload = packet.payload
    body = payload_bytes(packet)
    number = payload.number if isinstance(payload, (Fragment, Raw)) else PROTO_NUMBERS[packet.proto]
    if packet.version == 6:
        extra = b""
        if isinstance(payload, Fragment):
            extra = struct.pack("!BBHI", number, 0, payload.offset | payload.more, packet.id)
            number = 44
        head = struct.pack("!IHBB", 6 << 28 | packet.tos << 20, len(extra) + len(body), number, packet.ttl)
        return head + packet.src.packed + packet.dst.packed + extra + body
    fragment = packet.df << 14
    if isinstance(payload, Fragment):
        fragment |= payload.more << 13 | payload.offset // 8
    fields = [0x45, packet.tos, 20 + len(body), packet.id, fragment, packet.ttl, number, 0, packet.src.packed, packet.dst.packed]
    fields[7] = checksum(struct.pack("!BBHHHBBH4s4s", *fields))
    return struct.pack("!BBHHHBBH4s4s", *fields) + body


def payload_bytes(packet: Packet) -> bytes:
    """What follows the IP header (and IPv6's fragment header), its checksum filled in."""
    payload = packet.payload
    if isinstance(payload, Packet):
        return _packet_bytes(payload)
    if isinstance(payload, (Raw, Fragment)):
        return payload.data
    if isinstance(payload, Tcp):
        flags = sum(1 << TCP_FLAGS.index(flag) for flag in payload.flags)
        head = struct.pack("!HHIIBBHHH", payload.sport, payload.dport, payload.seq, payload.ack, 5 << 4, flags, payload.window, 0, 0)
        return _summed(packet, 6, head + payload.data, 16)
    if isinstance(payload, Udp):
        return _udp_bytes(packet, payload)
    if isinstance(payload, Sctp):
        head = struct.pack("!HHI", payload.sport, payload.dport, payload.vtag)
        return head + struct.pack("<I", _crc32c(head + b"\0\0\0\0" + payload.data)) + payload.data
    if isinstance(payload, Ndp):
        option = struct.pack("!BB6s", 1 if payload.type == 135 else 2, 1, mac_bytes(payload.lladdr)) if payload.lladdr else b""
        flags = sum(1 << 31 - "RSO".index(flag) for flag in payload.flags)
        return _summed(packet, 58, struct.pack("!BBHI16s", payload.type, 0, 0, flags, payload.target.packed) + option, 2)
    if isinstance(payload, Redirect):
        return _summed(packet, 58, _redirect_bytes(payload), 2)
    return _icmp_bytes(packet, payload)


def _redirect_bytes(redirect: Redirect) -> bytes:
    """With the options target link-layer address and redirected header (RFC 4861 sections 4.6.1 and 4.6.3), in Linux's order."""
    message = struct.pack("!BBHI16s16s", 137, 0, 0, 0, redirect.target.packed, redirect.dst.packed)
    if redirect.lladdr:
        message += struct.pack("!BB6s", 2, 1, mac_bytes(redirect.lladdr))
    if redirect.data:
        data = redirect.data if isinstance(redirect.data, bytes) else _packet_bytes(redirect.data)
        message += struct.pack("!BB6x", 4, 1 + redirect.quoted // 8) + data[: redirect.quoted]
    return message


def _icmp_bytes(packet: Packet, payload: Icmp) -> bytes:
    data = payload.data if isinstance(payload.data, bytes) else _packet_bytes(payload.data)
    message = struct.pack("!BBHHH", payload.type, payload.code, 0, payload.id, payload.seq) + data[: len(payload) - 8]
    if packet.version == 6:
        return _summed(packet, 58, message, 2)
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def _udp_bytes(packet: Packet, udp: Udp) -> bytes:
    wrapped = isinstance(udp.data, Vxlan)
    data = struct.pack("!II", 0x08000000, udp.data.vni << 8) + to_bytes(udp.data.frame) if wrapped else udp.data
    head = struct.pack("!HHHH", udp.sport, udp.dport, 8 + len(data), 0)
    # A tunnel's too: RFC 7348 section 5 would have it zero, but Linux computes it unless told noudpcsum (drivers/net/vxlan).
    return _summed(packet, 17, head + data, 6)


def fits(packet: Packet) -> bool:
    """Whether the Internet checksum over all that follows the IP header comes out right: nf_ip_checksum, or nf_ip6_checksum, which counts
    the pseudo header for every protocol."""
    data = payload_bytes(packet)
    if packet.version == 4:
        return checksum(data) == 0
    number = packet.payload.number if isinstance(packet.payload, Raw) else PROTO_NUMBERS[packet.proto]
    return checksum(packet.src.packed + packet.dst.packed + struct.pack("!II", len(data), number) + data) == 0


def _summed(packet: Packet, number: int, data: bytes, at: int) -> bytes:
    """The data with the checksum over pseudo header and data put in at byte ``at``."""
    if packet.version == 4:
        pseudo = packet.src.packed + packet.dst.packed + struct.pack("!BBH", 0, number, len(data))
    else:
        pseudo = packet.src.packed + packet.dst.packed + struct.pack("!II", len(data), number)
    value = checksum(pseudo + data)
    if number == 17 and value == 0:
        value = 0xFFFF  # RFC 768: zero would mean "no checksum"
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]


def mac_text(data: bytes) -> str:
    return data.hex(":")


def from_bytes(data: bytes, bare: bool = False) -> Frame:
    """The frame in these bytes; ``bare``: on a device without a link layer, so that they begin with the IP header. ModelError when
    they are no Ethernet frame with ARP, IPv4 or IPv6 inside."""
    try:
        if bare:
            return Frame("", "", packet_from_bytes(data))
        ethertype = struct.unpack("!H", data[12:14])[0]
        if ethertype == ETHERTYPE_ARP:
            payload = _parse_arp(data[14:])
        elif ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
            payload = packet_from_bytes(data[14:])
        else:
            raise ModelError(f"ethertype {ethertype:#06x} is not ARP, IPv4 or IPv6")
    except (struct.error, IndexError, ValueError) as error:
        raise ModelError(f"not a whole frame: {error}") from error
    return Frame(mac_text(data[6:12]), mac_text(data[0:6]), payload)


def _parse_arp(data: bytes) -> Arp:
    op = struct.unpack("!H", data[6:8])[0]
    return Arp(op, mac_text(data[8:14]), IPv4Address(data[14:18]), mac_text(data[18:24]), IPv4Address(data[24:28]))


def packet_from_bytes(data: bytes) -> Packet:
    """The IP packet in these bytes, version 4 or 6; padding behind the stated length is ignored."""
    if data[0] >> 4 == 6:
        word, length, number, ttl = struct.unpack("!IHBB", data[:8])
        src, dst, body, identifier = IPv6Address(data[8:24]), IPv6Address(data[24:40]), data[40 : 40 + length], 0
        offset, more, fragmented = 0, False, number == 44
        if number == 0:  # a hop-by-hop header: multicast listener reports carry one
            number, skip = body[0], 8 + 8 * body[1]
            body = body[skip:]
        if fragmented:
            number, _, field, identifier = struct.unpack("!BBHI", body[:8])
            offset, more, body = field & 0xFFF8, bool(field & 1), body[8:]
        payload = Fragment(number, offset, more, body) if fragmented else parse_payload(number, body, src, dst)
        return Packet(src, dst, payload, ttl, True, identifier, word >> 20 & 0xFF)
    first, tos, length, identifier, field, ttl, number = struct.unpack("!BBHHHBB", data[:10])
    src, dst, body = IPv4Address(data[12:16]), IPv4Address(data[16:20]), data[(first & 15) * 4 : length]
    offset, more = (field & 0x1FFF) * 8, bool(field & 0x2000)
    payload = Fragment(number, offset, more, body) if offset or more else parse_payload(number, body, src, dst)
    return Packet(src, dst, payload, ttl, bool(field & 0x4000), identifier, tos)


def parse_payload(number: int, body: bytes, src: IPAddress, dst: IPAddress):
    if number == 6:
        sport, dport, seq, ack, offset, bits, window = struct.unpack("!HHIIBBH", body[:16])
        flags = "".join(flag for index, flag in enumerate(TCP_FLAGS) if bits >> index & 1)
        return Tcp(sport, dport, flags, seq, ack, body[(offset >> 4) * 4 :], window)
    if number == 17:
        sport, dport, length = struct.unpack("!HHH", body[:6])
        data = body[8:length]
        if dport in VXLAN_PORTS and len(data) >= 22 and data[0] == 8:
            return Udp(sport, dport, Vxlan(int.from_bytes(data[4:7], "big"), from_bytes(data[8:])))
        return Udp(sport, dport, data)
    if number == 132:
        return Sctp(*struct.unpack("!HHI", body[:8]), body[12:])
    if number in (4, 41):
        return packet_from_bytes(body)
    if number in (1, 58):
        return _parse_icmp(4 if number == 1 else 6, body)
    return Raw(number, body)


def _parse_icmp(version: int, body: bytes):
    kind, code, _, identifier, seq = struct.unpack("!BBHHH", body[:8])
    if version == 6 and kind in (135, 136) and len(body) >= 24:
        lladdr = mac_text(body[26:32]) if len(body) >= 32 else None
        flags = "".join(flag for index, flag in enumerate("RSO") if identifier >> 15 - index & 1)
        return Ndp(kind, IPv6Address(body[8:24]), lladdr, flags)
    if version == 6 and kind == 137 and len(body) >= 40:
        return _parse_redirect(body)
    message = Icmp(kind, code, identifier, seq, body[8:], version)
    if message.is_error and len(body) >= 36:
        try:
            return Icmp(kind, code, identifier, seq, _parse_quoted(body[8:]), version)
        except (struct.error, IndexError, ModelError):
            return message  # quoted too briefly to be read: kept as bytes
    return message


def _parse_redirect(body: bytes) -> Redirect:
    lladdr, data, at = None, b"", 40
    while at + 8 <= len(body) and body[at + 1]:
        end = at + 8 * body[at + 1]
        if body[at] == 2:
            lladdr = mac_text(body[at + 2 : at + 8])
        elif body[at] == 4:
            data = body[at + 8 : end]
        at = end
    try:
        quoted = _parse_quoted(data) if data else data
    except (struct.error, IndexError, ValueError, ModelError):
        quoted = data
    return Redirect(IPv6Address(body[8:24]), IPv6Address(body[24:40]), lladdr, quoted)


def _parse_quoted(data: bytes) -> Packet:
    """The packet that an ICMP error quotes, which may be cut short."""
    return packet_from_bytes(data)

"""Bytes of frames, against bytes written out by hand and against Scapy where it is installed."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.linux.packet import Arp, Frame, Icmp, Packet, Udp, Vxlan, describe, ping, tcp, udp
from k8snetlib.linux.wire import checksum, from_bytes, to_bytes

ONE, TWO = "0a:58:0a:f4:01:02", "0a:58:0a:f4:01:01"


def test_checksum_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D


def test_an_arp_request_byte_by_byte() -> None:
    frame = Frame(ONE, "ff:ff:ff:ff:ff:ff", Arp(1, ONE, ip_address("10.244.1.2"), "00:00:00:00:00:00", ip_address("10.244.1.1")))
    assert to_bytes(frame).hex() == "ffffffffffff0a580af40102080600010800060400010a580af401020af401020000000000000af40101"


def test_vxlan_overhead_is_50_bytes() -> None:
    inner = Frame(ONE, TWO, tcp("10.244.1.2", "10.244.2.2", 8080))
    outer = Frame(ONE, TWO, Packet(ip_address("192.168.50.11"), ip_address("192.168.50.12"), Udp(40000, 8472, Vxlan(1, inner)), df=False))
    assert len(outer) - len(inner) == 50 == len(to_bytes(outer)) - len(to_bytes(inner))
    assert from_bytes(to_bytes(outer)) == outer


def test_an_error_quotes_what_fits() -> None:
    long = udp("10.0.0.1", "10.0.0.2", 53, data=b"x" * 1400)
    error = Packet(long.dst, long.src, Icmp(3, 3, data=long), df=False)
    assert len(error) == len(to_bytes(error)) == 576


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 14, bytes.fromhex("ffffffffffff0a580af401020806"), bytes.fromhex("ffffffffffff0a580af4010286dd60")]
)
def test_no_frame(data: bytes) -> None:
    with pytest.raises(ModelError):
        from_bytes(data)


def test_one_line_about_each() -> None:
    assert describe(Frame(ONE, TWO, tcp("10.0.0.1", "10.0.0.2", 80))) == f"{ONE} > {TWO}, IP 10.0.0.1:40000 > 10.0.0.2:80: TCP [S] length 0"
    assert describe(ping("fd00::1", "fd00::2")) == "IP6 fd00::1 > fd00::2: ICMP6 echo request"


@pytest.mark.parametrize(
    "packet",
    [
        tcp("10.0.0.1", "10.0.0.2", 80, flags="SA", data=b"hello"), udp("10.0.0.1", "10.0.0.2", 53, data=b"odd"), ping("10.0.0.1", "10.0.0.2", data=b"abc"),
        tcp("fd00::1", "fd00::2", 80, flags="FA"), udp("fd00::1", "fd00::2", 53, data=b"x"), ping("fd00::1", "fd00::2", data=b"12345"),
    ],
    ids=str,
)  # fmt: skip
def test_scapy_finds_the_same_checksums(packet: Packet) -> None:
    scapy = pytest.importorskip("scapy.all", reason="the [oracle] extra is not installed: no second opinion on checksums")
    data = to_bytes(Frame(ONE, TWO, packet))
    read = scapy.Ether(data)
    layer = read.payload
    while layer:
        for field in ("chksum", "cksum", "len"):
            if field in layer.fields:
                layer.delfieldval(field)
        layer = layer.payload
    assert bytes(read) == data

"""Packets in and out: crafted packets sent, every interface captured."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Iterator

from dump import Dump
from spaces import Loop, Spaces, errno_name

ETH_P_ALL, SO_TIMESTAMPNS, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 0x0003, 35, 33, 263, 6, 4
PACKET_RX_RING, PACKET_COPY_THRESH, PACKET_VERSION, TPACKET_V2 = 5, 7, 10, 1
ARPHRD_TUNNEL = 768  # include/uapi/linux/if_arp.h: IPIP, without a link layer
TP_STATUS_USER, TP_STATUS_COPY, SOCKADDR_LL = 1, 2, 32  # struct tpacket2_hdr has 32 bytes, struct sockaddr_ll comes next
IPV6_MTU, IPV6_MIN_MTU = 24, 1280
IP_PKTINFO, IPV6_HDRINCL, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT, CAPTURE_BUFFER = 8, 36, 10, 23, 0, 8 << 20


class Sender:
    """Sends packets as if a process of the namespace had: they pass OUTPUT, routing and POSTROUTING as its own."""

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces

    def send(self, netns: str, version: int, src: str, dst: str, data: bytes, df: bool) -> str:
        """Give a whole packet to the IP layer (raw(7) with IP_HDRINCL). Returns "" or the name of the errno that the kernel gave.

        Without ``df`` a packet that does not fit is cut, in IPv6 too, as a socket that allows it would have its datagrams cut.

        The source goes along as packet information too, since routing rules that look at it do not read the header.
        """
        self.spaces.enter(netns)
        if version == 6 and not df and len(data) > IPV6_MIN_MTU:  # with a header of ours the kernel would not cut it
            try:
                self._fragmenting(netns, version, (src, dst), data)
                return ""
            except OSError as error:  # from an address of somebody else it goes as it is, if it does
                if error.errno != errno.EADDRNOTAVAIL or len(data) > _ipv6_path_mtu(dst):
                    return errno_name(error.errno)
        family, level, option = (socket.AF_INET, socket.IPPROTO_IP, socket.IP_HDRINCL)
        if version == 6:
            family, level, option = (socket.AF_INET6, socket.IPPROTO_IPV6, IPV6_HDRINCL)
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.setsockopt(level, option, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            source = socket.inet_pton(family, src)
            if version == 4:
                about = [(level, IP_PKTINFO, struct.pack("i4s4s", 0, source, b"\0" * 4))]
            else:
                about = [(level, socket.IPV6_PKTINFO, struct.pack("16si", source, 0))]
            try:
                raw.sendmsg([data], about, 0, _address(version, dst))
            except OSError as error:
                return self._again(raw, netns, version, (src, dst), data, df, error)
        return ""

    def _again(self, raw: socket.socket, netns: str, version: int, ends: tuple[str, str], data: bytes, df: bool, error: OSError) -> str:
        """Two refusals of raw sockets are about raw sockets, not about the network, and have another way round them."""
        try:
            if version == 6 and error.errno == errno.EINVAL:  # not an address of this namespace: leave the packet information out
                raw.sendto(data, _address(version, ends[1]))
            elif error.errno == errno.EMSGSIZE and not df:  # IP_HDRINCL does not fragment
                self._fragmenting(netns, version, ends, data)
            else:
                return errno_name(error.errno)
        except OSError as second:
            return errno_name(second.errno)
        return ""

    def _fragmenting(self, netns: str, version: int, ends: tuple[str, str], data: bytes) -> None:
        """Send a packet of which the kernel makes the header again, from the fields of this one, and so may cut it."""
        self.spaces.enter(netns)
        family, level, header, proto, hops, tos = (socket.AF_INET, socket.IPPROTO_IP, 20, data[9], data[8], data[1])
        options = (IP_MTU_DISCOVER, socket.IP_TTL, socket.IP_TOS)
        if version == 6:
            family, level, header, proto, hops = socket.AF_INET6, socket.IPPROTO_IPV6, 40, data[6], data[7]
            tos = (data[0] << 8 | data[1]) >> 4 & 0xFF
            options = (IPV6_MTU_DISCOVER, socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS)
        with socket.socket(family, socket.SOCK_RAW, proto) as raw:
            for option, value in zip(options, (PMTUDISC_DONT, hops, tos), strict=True):
                raw.setsockopt(level, option, value)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            raw.setsockopt(level, socket.IP_MULTICAST_TTL if version == 4 else socket.IPV6_MULTICAST_HOPS, hops)
            raw.bind(_address(version, ends[0]))
            raw.sendto(data[header:], _address(version, ends[1]))

    def inject(self, netns: str, dev: str, frame: bytes) -> str:
        """Put a frame on a device's wire (packet(7)), below IP and netfilter. Returns "" or the name of an errno."""
        self.spaces.enter(netns)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            try:
                raw.bind((dev, 0))
                raw.send(frame)
            except OSError as error:
                return errno_name(error.errno)
        return ""

    def source(self, netns: str, version: int, dst: str) -> str:
        """The address that the namespace would send from; "" where it has no route. A connected UDP socket tells, and sends nothing."""
        self.spaces.enter(netns)
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((dst, 9))
            except OSError:
                return ""
            return probe.getsockname()[0]


def _ipv6_path_mtu(dst: str) -> int:
    """What the kernel knows of the path to an address, in bytes; without a route, more than any packet has."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((dst, 9))
            return probe.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        except OSError:
            return 1 << 16


def _address(version: int, host: str) -> tuple:
    return (host, 0) if version == 4 else (host, 0, 0, 0)


class Ring:
    """A packet socket (packet(7)) that sees what crosses every interface of one namespace, both ways, through a ring of frames.

    The kernel copies each frame into the ring (TPACKET_V2, Documentation/networking/packet_mmap.rst) as it passes. A plain receive would
    copy it only when asked, and by then a later hop may have written into the same memory: fragments share theirs. Frames that do not
    fit into a slot, such as those on the loopback device, come by the plain way.
    """

    SLOT, SLOTS, BLOCK = 8192, 512, 1 << 16

    def __init__(self, spaces: Spaces, netns: str) -> None:
        self.spaces, self.netns, self.at = spaces, netns, 0
        spaces.enter(netns)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        _enlarge(self.socket)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        self.socket.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, self.SLOT)
        size = self.SLOT * self.SLOTS
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", self.BLOCK, size // self.BLOCK, self.SLOT, self.SLOTS))
        self.memory = mmap.mmap(self.socket.fileno(), size)
        self.names = dict(socket.if_nameindex())
        self.forget()  # what came before there was a ring

    def frames(self) -> Iterator[tuple[int, str, str, bytes, bool]]:
        """(nanoseconds, device, "in" or "out", bytes, whether there is no Ethernet header) of what has come since the last call."""
        while True:
            start = self.at * self.SLOT
            status, length, held, mac, _, seconds, nanoseconds = struct.unpack_from("IIIHHII", self.memory, start)
            if not status & TP_STATUS_USER:
                return
            (dev,) = struct.unpack_from("i", self.memory, start + SOCKADDR_LL + 4)
            kind = self.memory[start + SOCKADDR_LL + 10]
            (hardware,) = struct.unpack_from("H", self.memory, start + SOCKADDR_LL + 8)
            data = self.memory[start + mac : start + mac + held]
            if status & TP_STATUS_COPY and held < length:
                data = self._whole() or data
            struct.pack_into("I", self.memory, start, 0)
            self.at = (self.at + 1) % self.SLOTS
            yield (
                seconds * 10**9 + nanoseconds,
                self._name(dev),
                "out" if kind == PACKET_OUTGOING else "in",
                data,
                hardware == ARPHRD_TUNNEL,
            )

    def forget(self) -> None:
        """Throw away what has come since the last call."""
        for _ in self.frames():
            pass
        while self._whole():
            pass
        self.lost()

    def _whole(self) -> bytes:
        while True:
            try:
                return self.socket.recv(1 << 17)
            except BlockingIOError:
                return b""
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # told once of an interface that went down or away; there is more to read
                    raise

    def _name(self, dev: int) -> str:
        if dev not in self.names:
            self.spaces.enter(self.netns)
            self.names |= dict(socket.if_nameindex())
        return self.names.get(dev, f"if{dev}")

    def lost(self) -> int:
        """Frames that found the ring full since the last call: ``tp_drops`` of struct tpacket_stats."""
        return struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


class Capture:
    """What crosses every interface of every namespace, both ways. Each namespace's ring is made once and kept: making one takes 10 ms."""

    def __init__(self, spaces: Spaces, loop: Loop, dump: Dump) -> None:
        self.spaces, self.loop, self.dump = spaces, loop, dump
        self.rings: dict[str, Ring] = {}
        self.running: dict[str, Ring] = {}
        self.seen: list[tuple[int, int, str, str, str, bytes, bool]] = []
        self.last = 0.0

    def start(self) -> None:
        """Begin; what was captured and not fetched is forgotten. Namespaces made later are not captured."""
        self.stop()
        for netns in self.spaces.fds:
            ring = self.rings.get(netns)
            if ring is None:
                ring = self.rings[netns] = Ring(self.spaces, netns)
            self.running[netns] = ring
            ring.forget()
            self.loop.add(ring.socket, lambda netns=netns, ring=ring: self._drain(netns, ring))
        self.last = time.monotonic()

    def _drain(self, netns: str, ring: Ring) -> None:
        for moment, dev, direction, data, bare in ring.frames():
            self.seen.append((moment, len(self.seen), netns, dev, direction, data, bare))
            self.last = time.monotonic()

    def fetch(self, quiet: float, limit: float) -> dict:
        """Wait until nothing has come for ``quiet`` seconds and nothing is under way, ``limit`` seconds at most; then stop.

        Under way: a packet that waits for a neighbour's answer, or one in a processor's backlog; when that ends, its end may still cause
        packets, so a whole quiet period has to follow. A busy machine (this process woke far too late) gets one more period, too.
        """
        deadline = time.monotonic() + limit
        settled, busy = False, False
        while not settled and time.monotonic() < deadline:
            before = time.monotonic()
            if self.loop.step(max(0.0, min(self.last + quiet, deadline) - before)):
                continue
            late = time.monotonic() - max(before, self.last + quiet)
            was_busy, busy = busy, late >= quiet or backlog() or self.dump.asking()
            settled = not busy and not was_busy
            self.last = time.monotonic()
        lost = sum(ring.lost() for ring in self.running.values())
        frames = [(moment, *rest) for moment, _, *rest in sorted(self.seen)]
        self.stop()
        return {"frames": frames, "lost": lost, "settled": settled}

    def stop(self) -> None:
        for ring in self.running.values():
            self.loop.remove(ring.socket)
        self.running.clear()
        self.seen = []


def _enlarge(each: socket.socket) -> None:
    """Ask for room beyond net.core.rmem_max. Where this user namespace may not, the usual has to do (``lost`` tells when it did not)."""
    try:
        each.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BUFFER)
    except PermissionError:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CAPTURE_BUFFER)


def backlog() -> bool:
    """Whether a processor still has received packets to work on (/proc/net/softnet_stat, twelfth column, Linux 5.10 or later)."""
    fd = os.open("/proc/self/net/softnet_stat", os.O_RDONLY)
    try:
        lines = os.read(fd, 1 << 16).decode().splitlines()
    finally:
        os.close(fd)
    return any(len(fields := line.split()) > 11 and int(fields[11], 16) for line in lines)

"""Devices, addresses, routes, neighbours and FDB entries by netlink: each method is one request of the lab.

Arguments are plain values, as ``lower.py`` makes them of ops; a refusal raises pyroute2's NetlinkError with the kernel's own words.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import time

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink.rtnl.ndmsg import NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE
from reports import Reports
from spaces import Loop, Spaces

IFA_F_NODAD, RTNH_F_ONLINK, NTF_SELF, NTF_MASTER, NTF_PROXY, RT_SCOPE_NOWHERE = 0x02, 4, 0x02, 0x04, 0x08, 255
NEIGHBOURS = {"retrans_time_ms": "50", "proxy_delay": "0"}  # of each device; see ``plain``
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
NEIGH_STATES = {"permanent": NUD_PERMANENT, "reachable": NUD_REACHABLE, "stale": 0x04, "delay": 0x08, "probe": 0x10, "noarp": NUD_NOARP}
# What ``bridge fdb`` makes of its words (iproute2 bridge/fdb.c): NOARP marks what does not age
FDB_STATES = {"permanent": NUD_NOARP | NUD_PERMANENT, "static": NUD_NOARP | NUD_REACHABLE, "dynamic": NUD_REACHABLE}
# include/uapi/linux/ethtool.h; SIOCETHTOOL from linux/sockios.h
SIOCETHTOOL, OFFLOADS = 0x8946, {"tx checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


class Netlink:
    """One rtnetlink socket in each namespace, made when first needed."""

    def __init__(self, spaces: Spaces, loop: Loop) -> None:
        self.spaces, self.loop = spaces, loop
        self.sockets: dict[str, IPRoute] = {}
        self.indexes: dict[tuple[str, str], int] = {}
        self.reports = Reports(spaces)
        self.changed = 0.0
        self.made: set[tuple[str, int, str]] = set()  # neighbours and FDB entries that were asked for, and so were not learned
        self.by_hand = False  # a program made some as well

    def socket(self, netns: str) -> IPRoute:
        found = self.sockets.get(netns)
        if found is None:
            self.spaces.enter(netns)
            found = self.sockets[netns] = IPRoute(ext_ack=True)
        return found

    def index(self, netns: str, name: str) -> int:
        found = self.indexes.get((netns, name))
        if found is None:
            found = self.indexes[netns, name] = self.socket(netns).link("get", ifname=name)[0]["index"]
        return found

    def forget(self) -> None:
        """Close every socket, and with the namespace's last user the namespace."""
        for each in self.sockets.values():
            each.close()
        self.sockets.clear()
        self.indexes.clear()

    def clear(self) -> None:
        self.forget()
        self.reports.clear()
        self.made.clear()
        self.by_hand = False

    def link_add(self, netns: str, name: str, kind: str, mac: str | None, mtu: int | None, peer: dict | None, options: dict) -> None:
        settings = {"ifname": name, "kind": kind, **({"address": mac} if mac else {}), **({"mtu": mtu} if mtu else {})}
        ends = [(netns, name)]
        if peer:
            self.spaces.enter(peer["netns"])  # complains of an unknown name
            end = {"ifname": peer["name"], "address": peer["mac"], "net_ns_fd": self.spaces.fds[peer["netns"]]}
            settings["peer"] = {**end, **({"mtu": mtu} if mtu else {})}
            ends.append((peer["netns"], peer["name"]))
        if "vxlan_link" in options:
            options = {**options, "vxlan_link": self.index(netns, options["vxlan_link"])}
        if kind != "ipip" or not self.socket(netns).link_lookup(ifname=name):  # tunl0 is there as soon as the module is
            self.socket(netns).link("add", **settings, **options)
        elif mtu:
            self.socket(netns).link("set", index=self.index(netns, name), mtu=mtu)
        for where, dev in ends:
            self.plain(where, dev)

    def plain(self, netns: str, dev: str) -> None:
        """Switch a device's offloads off, so that frames on it are what a wire would carry: summed, and no larger than the MTU.

        Neighbour questions are repeated after 50 ms in place of 1 s: the same three questions, and an answer on failure in 0.15 s.
        Who answers for others does so at once, not after a random time of up to 0.8 s (RFC 4861 section 7.2.8).
        """
        self.spaces.enter(netns)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for command in OFFLOADS.values():
                value = bytearray(struct.pack("II", command, 0))
                _ethtool(any_socket, dev, value)
        for family in ("ipv4", "ipv6"):
            for key, value in NEIGHBOURS.items():
                path = f"/proc/sys/net/{family}/neigh/{dev}/{key}"
                if os.path.exists(path):
                    with open(path, "w") as file:
                        file.write(value)

    def link_set(self, netns: str, name: str, link: dict, port: dict) -> None:
        api, index = self.socket(netns), self.index(netns, name)
        self.changed = time.monotonic()
        if link.get("state"):
            self.reports.state(netns, name, link["state"] == "up")
        if link.get("master"):
            link = {**link, "master": self.index(netns, link["master"])}
        if link:
            api.link("set", index=index, **link)
        if port:
            api.brport("set", index=index, **port)

    def link_del(self, netns: str, name: str) -> None:
        self.socket(netns).link("del", index=self.index(netns, name))
        self.indexes.clear()

    def addr_add(self, netns: str, dev: str, address: str, prefix: int, version: int) -> None:
        nodad = {"flags": IFA_F_NODAD} if version == 6 else {}
        self._addr("add", netns, dev, address, prefix, version, nodad)

    def addr_del(self, netns: str, dev: str, address: str, prefix: int, version: int) -> None:
        self._addr("del", netns, dev, address, prefix, version, {})

    def _addr(self, command: str, netns: str, dev: str, address: str, prefix: int, version: int, more: dict) -> None:
        index = self.index(netns, dev)
        if version == 6:
            self.changed = time.monotonic()
            self.reports.groups_change(netns, dev)
        self.socket(netns).addr(command, index=index, address=address, prefixlen=prefix, family=FAMILIES[version], **more)

    def route_add(self, netns: str, version: int, dev: str | None, onlink: bool, **fields) -> None:
        self.socket(netns).route("add", **self._route(netns, version, dev, fields), flags=RTNH_F_ONLINK if onlink else 0)

    def route_del(self, netns: str, version: int, dev: str | None, **fields) -> None:
        self.socket(netns).route("del", **self._route(netns, version, dev, fields), scope=RT_SCOPE_NOWHERE)

    def _route(self, netns: str, version: int, dev: str | None, fields: dict) -> dict:
        return {"family": FAMILIES[version], **fields, **({"oif": self.index(netns, dev)} if dev else {})}

    def rule_add(self, netns: str, version: int, **fields) -> None:
        self.socket(netns).rule("add", family=FAMILIES[version], **fields)

    def neigh_add(self, netns: str, dev: str, ip: str, mac: str, state: str) -> None:
        self.made.add((netns, self.index(netns, dev), ip))
        self.socket(netns).neigh("replace", ifindex=self.index(netns, dev), dst=ip, lladdr=mac, state=NEIGH_STATES[state])

    def neigh_del(self, netns: str, dev: str, ip: str) -> None:
        self.socket(netns).neigh("del", ifindex=self.index(netns, dev), dst=ip)

    def proxy_add(self, netns: str, dev: str, ip: str, version: int) -> None:
        if version == 6:  # its solicited-node group is joined (pndisc_constructor)
            self.changed = time.monotonic()
            self.reports.groups_change(netns, dev)
        self.socket(netns).neigh("add", ifindex=self.index(netns, dev), dst=ip, flags=NTF_PROXY, family=FAMILIES[version])

    def fdb_add(self, netns: str, dev: str, mac: str, dst: str | None, state: str) -> None:
        self.made.add((netns, self.index(netns, dev), mac))
        many = dst and (mac == "00:00:00:00:00:00" or int(mac[1], 16) & 1)  # a list, which cannot be replaced (vxlan_fdb_update_create)
        self._fdb("append" if many else "replace", netns, dev, mac, dst, FDB_STATES["permanent" if dst else state])

    def fdb_del(self, netns: str, dev: str, mac: str, dst: str | None) -> None:
        self._fdb("del", netns, dev, mac, dst, FDB_STATES["permanent"])

    def _fdb(self, command: str, netns: str, dev: str, mac: str, dst: str | None, state: int) -> None:
        where = {"dst": dst, "flags": NTF_SELF} if dst else {"flags": NTF_MASTER}
        self.socket(netns).fdb(command, ifindex=self.index(netns, dev), lladdr=mac, state=state, **where)

    def rest(self) -> None:
        """Let new devices say what they say by themselves, then forget what bridges and tunnels learned from it: a lab starts with
        nothing learned."""
        self.reports.wait(self.changed, self.loop)
        for netns in list(self.spaces.fds):
            api = self.socket(netns)
            for entry in self._learned(netns, list(api.fdb("dump")), "NDA_LLADDR"):
                dst = entry.get_attr("NDA_DST")
                where = {"dst": dst, "flags": NTF_SELF} if dst else {"flags": NTF_MASTER}
                api.fdb("del", ifindex=entry["ifindex"], lladdr=entry.get_attr("NDA_LLADDR"), **where)
            for entry in [] if self.by_hand else self._learned(netns, list(api.get_neighbours()), "NDA_DST"):
                api.neigh("del", ifindex=entry["ifindex"], dst=entry.get_attr("NDA_DST"))

    def _learned(self, netns: str, entries: list, name: str) -> list:
        """Those that nobody asked for and that are not of the kernel's own making (permanent, or NOARP)."""
        fixed = NUD_PERMANENT | NUD_NOARP
        return [e for e in entries if not e["state"] & fixed and (netns, e["ifindex"], e.get_attr(name)) not in self.made]

    def conntrack_del(self, netns: str, version: int, proto: int, src: str, dst: str, sport: int, dport: int) -> None:
        """Delete a connection by its original tuple; as in the model, one that is not there is no mistake."""
        from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

        echo = {socket.IPPROTO_ICMP: 8, socket.IPPROTO_ICMPV6: 128}.get(proto)  # tracked ICMP is echoes, named by their identifier
        rest = {"sport": sport, "dport": dport} if echo is None else {"icmp_id": sport, "icmp_type": echo, "icmp_code": 0}
        self.spaces.enter(netns)
        api = NFCTSocket(nfgen_family=FAMILIES[version])
        try:
            api.entry("del", tuple_orig=NFCTAttrTuple(FAMILIES[version], src, dst, proto, **rest))
        except NetlinkError as error:
            if error.code != errno.ENOENT:
                raise
        finally:
            api.close()

    def sysctl_set(self, netns: str, key: str, value: str) -> None:
        """Write a sysctl. Without br_netfilter its switches are not there, and off."""
        self.spaces.enter(netns)
        if key.startswith("net.bridge.") and value == "0" and not os.path.exists(sysctl_path(key)):
            return
        with open(sysctl_path(key), "w") as file:
            file.write(value)

    def netns_add(self, netns: str, sysctls: dict[str, str]) -> None:
        self.spaces.add(netns)
        self.baseline(netns, sysctls)
        self.socket(netns).link("set", index=1, state="up")  # lo is always the first

    def baseline(self, netns: str, sysctls: dict[str, str]) -> None:
        """Write the sysctls that this kernel has: one built without IPv6, say, has no net.ipv6."""
        for key, value in sysctls.items():
            if os.path.exists(sysctl_path(key)):
                self.sysctl_set(netns, key, value)


def sysctl_path(key: str) -> str:
    """The file of a sysctl; as in sysctl(8) a "/" in the key stands for a dot in a device's name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def _ethtool(any_socket: socket.socket, dev: str, value: bytearray) -> None:
    buffer = (ctypes.c_char * len(value)).from_buffer(value)
    with contextlib.suppress(OSError):  # a device that lacks this offload has nothing to switch off
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", dev.encode(), ctypes.addressof(buffer)) + b"\0" * 16)

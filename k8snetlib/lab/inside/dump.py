"""What the kernel says is there: a namespace's devices, routes, neighbours, FDB and connections as plain values."""

from __future__ import annotations

import socket
import struct

from netlink import Netlink, sysctl_path

BOTH = (socket.AF_INET, socket.AF_INET6)
# include/uapi/linux/rtnetlink.h, netlink.h, neighbour.h
RTM_NEWNEIGH, RTM_GETNEIGH, NLM_F_REQUEST, NLM_F_DUMP, NTF_PROXY, NDA_DST = 28, 30, 0x01, 0x300, 0x08, 1
LOOPBACK = 1  # its interface index in every network namespace (include/net/net_namespace.h)


class Dump:
    """Reads back what ``Netlink`` (or a program) configured."""

    def __init__(self, netlink: Netlink) -> None:
        self.netlink, self.spaces = netlink, netlink.spaces

    def state(self, netns: str, sysctls: list[str]) -> dict:
        """Everything of one namespace that ``readback.netns`` makes a ``NetNS`` of."""
        api = self.netlink.socket(netns)
        links = [self._link(netns, message) for message in api.get_links()]
        names = {link["index"]: link["name"] for link in links}
        return {
            "links": links,
            "addresses": [self._address(message, names) for message in api.get_addr()],
            "routes": [self._route(message, names) for family in BOTH for message in api.get_routes(family=family)],
            "rules": [self._rule(message) for family in BOTH for message in api.get_rules(family=family)],
            "neighbors": [self._neighbor(message, names) for family in BOTH for message in api.get_neighbours(family=family)],
            "proxied": [(names[index], address) for family in BOTH for index, address in self._proxied(netns, family)],
            "fdb": [self._fdb(message, names) for message in api.fdb("dump")],
            "sysctls": {key: value for key in sysctls if (value := self._sysctl(netns, key)) is not None},
        }

    def _link(self, netns: str, message) -> dict:
        info = message.get_attr("IFLA_LINKINFO")
        kind = info.get_attr("IFLA_INFO_KIND") if info else "loopback" if message["ifi_type"] == 772 else ""
        port = info.get_attr("IFLA_INFO_SLAVE_DATA") if info and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge" else None
        link = {
            "index": message["index"], "name": message.get_attr("IFLA_IFNAME"), "kind": kind, "mac": message.get_attr("IFLA_ADDRESS"),
            "mtu": message.get_attr("IFLA_MTU"), "up": bool(message["flags"] & 1), "operstate": message.get_attr("IFLA_OPERSTATE"),
            "master": message.get_attr("IFLA_MASTER"), "peer": self._peer(netns, message) if kind == "veth" else None,
            "hairpin": bool(port and port.get_attr("IFLA_BRPORT_MODE")),
            "learning": bool(port.get_attr("IFLA_BRPORT_LEARNING")) if port else True,
            "isolated": bool(port and port.get_attr("IFLA_BRPORT_ISOLATED")),
            "proxy_arp": bool(port and port.get_attr("IFLA_BRPORT_PROXYARP")),
        }  # fmt: skip
        if kind == "vxlan":
            data = info.get_attr("IFLA_INFO_DATA")
            local = data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6")
            link["vxlan"] = {
                "vni": data.get_attr("IFLA_VXLAN_ID"), "local": local, "link": data.get_attr("IFLA_VXLAN_LINK"),
                "port": data.get_attr("IFLA_VXLAN_PORT"), "learning": bool(data.get_attr("IFLA_VXLAN_LEARNING")),
            }  # fmt: skip
        if kind == "ipip":
            data = info.get_attr("IFLA_INFO_DATA")
            link["ipip"] = [data.get_attr(f"IFLA_IPIP_{end}") or "0.0.0.0" for end in ("LOCAL", "REMOTE")]
        return link

    def _peer(self, netns: str, message) -> tuple[str, str] | None:
        """Where a veth's other end is: its index, in the namespace that this one knows by a number (RTM_GETNSID)."""
        nsid, index = message.get_attr("IFLA_LINK_NETNSID"), message.get_attr("IFLA_LINK")
        if nsid is None:
            return (netns, self.netlink.socket(netns).link("get", index=index)[0].get_attr("IFLA_IFNAME"))
        for other, fd in self.spaces.fds.items():
            if self.netlink.socket(netns).get_netnsid(fd=fd)["nsid"] == nsid:
                return (other, self.netlink.socket(other).link("get", index=index)[0].get_attr("IFLA_IFNAME"))
        return None

    @staticmethod
    def _address(message, names: dict[int, str]) -> tuple[str, str, int]:
        return names[message["index"]], message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"), message["prefixlen"]

    @staticmethod
    def _route(message, names: dict[int, str]) -> dict:
        metrics = message.get_attr("RTA_METRICS")
        return {
            "family": message["family"], "dst": message.get_attr("RTA_DST"), "prefix": message["dst_len"],
            "via": message.get_attr("RTA_GATEWAY"), "dev": names.get(message.get_attr("RTA_OIF")),
            "src": message.get_attr("RTA_PREFSRC"), "scope": message["scope"], "proto": message["proto"],
            "metric": message.get_attr("RTA_PRIORITY") or 0, "flags": message["flags"], "type": message["type"],
            "table": message.get_attr("RTA_TABLE"), "mtu": metrics.get_attr("RTAX_MTU") if metrics else None,
        }  # fmt: skip

    @staticmethod
    def _rule(message) -> dict:
        return {
            "family": message["family"], "priority": message.get_attr("FRA_PRIORITY") or 0, "table": message.get_attr("FRA_TABLE"),
            "src": message.get_attr("FRA_SRC"), "src_len": message["src_len"], "dst": message.get_attr("FRA_DST"),
            "dst_len": message["dst_len"], "fwmark": message.get_attr("FRA_FWMARK"), "fwmask": message.get_attr("FRA_FWMASK"),
            "iif": message.get_attr("FRA_IIFNAME"),
        }  # fmt: skip

    def _proxied(self, netns: str, family: int) -> list[tuple[int, str]]:
        """Addresses that the namespace answers for, with the index of the device. The kernel lists them only if asked for them alone
        (neigh_dump_info), by a flag that pyroute2 leaves out of a question."""
        self.spaces.enter(netns)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as raw:
            raw.send(
                struct.pack("=IHHII", 28, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
                + struct.pack("=B3xiHBB", family, 0, 0, NTF_PROXY, 0)
            )
            found, data = [], raw.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind != RTM_NEWNEIGH:
                    return found
                size, attribute = struct.unpack_from("=HH", data, 28)  # the address is the first attribute (pneigh_fill_info)
                if attribute == NDA_DST:
                    found.append((struct.unpack_from("=i", data, 20)[0], socket.inet_ntop(family, data[32 : 28 + size])))
                data = data[length + 3 & ~3 :] or raw.recv(1 << 16)
        return found

    @staticmethod
    def _neighbor(message, names: dict[int, str]) -> dict:
        return {
            "dev": names.get(message["ifindex"]), "ip": message.get_attr("NDA_DST"), "mac": message.get_attr("NDA_LLADDR"),
            "state": message["state"],
        }  # fmt: skip

    @staticmethod
    def _fdb(message, names: dict[int, str]) -> dict:
        return {
            "dev": names.get(message["ifindex"]), "mac": message.get_attr("NDA_LLADDR"), "dst": message.get_attr("NDA_DST"),
            "master": names.get(message.get_attr("NDA_MASTER")), "state": message["state"], "flags": message["flags"],
            "vlan": message.get_attr("NDA_VLAN"),
        }  # fmt: skip

    def _sysctl(self, netns: str, key: str) -> str | None:
        self.spaces.enter(netns)
        try:
            with open(sysctl_path(key)) as file:
                return file.read().strip()
        except OSError:
            return None

    def unsettled(self) -> list[tuple[str, str]]:
        """Devices that are up but whose carrier the kernel has not yet acted on (operstate still DOWN, far end up).

        It may leave that for a second (net/core/link_watch.c); since Linux 6.8 a question about the one device makes it act at once.
        A listing takes no lock and so can show a port already UP and its bridge still without the carrier that follows from it.
        Hence none is waiting only when two listings say so, with a question between them that had to wait for the kernel's lock.
        """
        waiting = self._waiting()
        if not waiting:
            for netns in list(self.spaces.fds)[:1]:
                self.netlink.socket(netns).link("get", index=LOOPBACK)
            waiting = self._waiting()
        return waiting

    def _waiting(self) -> list[tuple[str, str]]:
        waiting = []
        for netns in list(self.spaces.fds):
            api = self.netlink.socket(netns)
            for message in list(api.get_links()):
                if message["flags"] & 1 and message.get_attr("IFLA_CARRIER") and message.get_attr("IFLA_OPERSTATE") == "DOWN":
                    waiting.append((netns, message.get_attr("IFLA_IFNAME")))
                    api.link("get", index=message["index"])
        return waiting

    def asking(self) -> bool:
        """Whether some namespace still waits for a neighbour's answer (NUD_INCOMPLETE), and so has packets in hand."""
        return any(
            message["state"] & 0x01
            for netns in list(self.spaces.fds)
            for family in BOTH
            for message in self.netlink.socket(netns).get_neighbours(family=family)
        )

    def conntrack(self, netns: str) -> list[dict]:
        """The connection-tracking entries of both families (nfnetlink, subsystem ctnetlink)."""
        from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

        self.spaces.enter(netns)
        api = NFCTSocket(nfgen_family=socket.AF_UNSPEC)
        try:
            return [_connection(message) for message in api.dump()]
        finally:
            api.close()

    def proc(self, netns: str, names: list[str]) -> dict[str, str]:
        """Files of /proc/net as this namespace shows them, those that exist."""
        self.spaces.enter(netns)
        found = {}
        for name in names:
            try:
                with open(f"/proc/self/net/{name}") as file:
                    found[name] = file.read()
            except FileNotFoundError:
                pass
        return found


def _connection(message) -> dict:
    info = message.get_attr("CTA_PROTOINFO")
    tcp = info.get_attr("CTA_PROTOINFO_TCP") if info else None
    return {
        "original": _tuple(message.get_attr("CTA_TUPLE_ORIG")), "reply": _tuple(message.get_attr("CTA_TUPLE_REPLY")),
        "status": message.get_attr("CTA_STATUS") or 0, "mark": message.get_attr("CTA_MARK") or 0,
        "tcp": tcp.get_attr("CTA_PROTOINFO_TCP_STATE") if tcp else None,
    }  # fmt: skip


def _tuple(half) -> dict:
    ip, proto = half.get_attr("CTA_TUPLE_IP"), half.get_attr("CTA_TUPLE_PROTO")
    ident = proto.get_attr("CTA_PROTO_ICMP_ID")
    ident = proto.get_attr("CTA_PROTO_ICMPV6_ID") if ident is None else ident
    return {
        "src": ip.get_attr("CTA_IP_V4_SRC") or ip.get_attr("CTA_IP_V6_SRC"),
        "dst": ip.get_attr("CTA_IP_V4_DST") or ip.get_attr("CTA_IP_V6_DST"),
        "proto": proto.get_attr("CTA_PROTO_NUM"), "id": ident,
        "sport": proto.get_attr("CTA_PROTO_SRC_PORT"), "dport": proto.get_attr("CTA_PROTO_DST_PORT"),
    }  # fmt: skip

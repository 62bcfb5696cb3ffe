"""What the probe asks a helper to try, feature by feature, as requests."""

from __future__ import annotations

from .lower import BASELINE, Request

_NAT = "*nat\n-A POSTROUTING -m statistic --mode random --probability 0.5 -j MASQUERADE --random-fully\nCOMMIT\n"
_NFT = "table ip k8snet { chain out { type nat hook postrouting priority 100; masquerade fully-random; }; }\n"
_BIRD = "router id 192.0.2.1;\nprotocol device {}\nprotocol kernel { ipv4 { export none; }; learn; }\n"


def trials() -> dict[str, list[Request]]:
    """For each feature what to ask of a helper, in an order in which later ones may use what earlier ones made."""

    def link(name: str, kind: str, peer: dict | None = None, **options: object) -> Request:
        wanted = {"netns": "one", "name": name, "kind": kind, "mac": "0a:58:00:00:00:01", "mtu": None, "peer": peer, "options": options}
        return "link_add", wanted

    def run(tool: str, stdin: str, *words: str) -> list[Request]:
        return [("run", {"netns": "one", "argv": [tool, *words], "stdin": stdin.encode(), "timeout": 10.0})]

    up = [("link_set", {"netns": where, "name": "veth0", "link": {"state": "up"}, "port": {}}) for where in ("one", "two")]
    address = ("addr_add", {"netns": "one", "dev": "veth0", "address": "192.0.2.1", "prefix": 24, "version": 4})
    data = bytes.fromhex("450000140000400040fd0000" + "c0000201" + "c0000202")  # an IP header and nothing else, protocol 253 (RFC 3692)
    send = ("send", {"netns": "one", "version": 4, "src": "192.0.2.1", "dst": "192.0.2.2", "data": data, "df": True})
    sysctl = ("sysctl_set", {"netns": "one", "key": "net.ipv4.ip_forward", "value": "1"})
    peer = {"netns": "two", "name": "veth0", "mac": "0a:58:00:00:00:02"}
    neighbor = ("neigh_add", {"netns": "one", "dev": "veth0", "ip": "192.0.2.2", "mac": peer["mac"], "state": "permanent"})
    capture = [("capture", {}), send, ("fetch", {"quiet": 0.01, "limit": 2.0})]
    tunnel = {"vxlan_id": 1, "vxlan_local": "192.0.2.1", "vxlan_link": "veth0", "vxlan_port": 4789, "vxlan_learning": 0}
    return {
        "sysctl": [*(("netns_add", {"netns": name, "sysctls": dict(BASELINE)}) for name in ("one", "two")), sysctl],
        "veth": [link("veth0", "veth", peer), *up, address],
        "bridge": [link("bridge0", "bridge")],
        "packets": [neighbor, *capture],
        "vxlan": [link("vxlan0", "vxlan", **tunnel)],
        "ipip": [link("ipip0", "ipip", ipip_local="192.0.2.1")],
        "ipv6": [("addr_add", {**address[1], "address": "2001:db8::1", "prefix": 64, "version": 6})],
        "dummy": [link("dummy0", "dummy")],
        "br_netfilter": [("sysctl_set", {"netns": "one", "key": "net.bridge.bridge-nf-call-iptables", "value": "1"})],
        "iptables": run("iptables-restore", _NAT),
        "ip6tables": run("ip6tables-restore", _NAT),
        "nft": run("nft", _NFT, "-f", "-"),
        "conntrack": [("conntrack", {"netns": "one"})],
        "ipset": run("ipset", "create k8snet hash:ip,port\n", "restore"),
        "ipvs": run("ipvsadm", "-A -t 192.0.2.1:80 -s rr\n", "-R"),
        "nginx": run("nginx", "", "-v"),
        "haproxy": run("haproxy", "", "-v"),
        "bird": [
            ("bird_start", {"netns": "one", "conf": _BIRD.encode(), "limit": 5.0}),
            ("bird_ask", {"netns": "one", "commands": ["show status"], "limit": 5.0}),
            ("bird_stop", {"netns": "one", "limit": 5.0}),
        ],
    }

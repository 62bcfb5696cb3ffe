"""Reading what ``ipvsadm -S -n`` prints."""

from __future__ import annotations

from ipaddress import ip_address

from ..errors import ModelError, UnsupportedError
from ..value import replace
from .ipvs import FLAGS, RealServer, ServerKey, VirtualServer

PROTOS = {"-t": "tcp", "--tcp-service": "tcp", "-u": "udp", "--udp-service": "udp", **{flag: proto for proto, flag in FLAGS.items()}}


def parse(text: str) -> list[VirtualServer]:
    """The virtual servers of the text, each with its real ones, in order."""
    found: dict[ServerKey, VirtualServer] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            _line(words, found)
        except (ModelError, UnsupportedError) as error:
            raise type(error)(f"ipvsadm line {number}: {error}: {line}") from None
        except (IndexError, KeyError, ValueError) as error:
            raise ModelError(f"ipvsadm line {number}: cannot be read ({error}): {line}") from None
    return list(found.values())


def _line(words: list[str], found: dict[ServerKey, VirtualServer]) -> None:
    address, port = _pair(words[2])
    key = ServerKey(PROTOS[words[1]], address, port)
    options = _options(words[3:])
    if words[0] == "-A":
        persistent = next((o for o in ("-p", "--persistent") if o in options), None)
        timeout = int(options[persistent] or 300) if persistent else 0
        unknown = options.keys() - {"-s", "--scheduler", "-p", "--persistent"}
        if unknown:
            raise UnsupportedError(f"the option {sorted(unknown)[0]} is not modelled")
        found[key] = VirtualServer(key, options.get("-s") or options.get("--scheduler") or "wlc", timeout)
    elif words[0] == "-a":
        if {"-g", "-i", "--gatewaying", "--ipip"} & options.keys():
            raise UnsupportedError("forwarding by direct routing or tunnelling is not modelled, only NAT (-m)")
        real = RealServer(*_pair(options.get("-r") or options["--real-server"]), int(options.get("-w") or options.get("--weight") or 1))
        found[key] = replace(found[key], real=(*found[key].real, real))
    else:
        raise ModelError(f"expected -A or -a, not {words[0]!r}")


def _options(words: list[str]) -> dict[str, str]:
    """Each option with its argument, "" where it has none."""
    found: dict[str, str] = {}
    for word in words:
        if word.startswith("-"):
            last = word
            found[word] = ""
        else:
            found[last] = word
    return found


def _pair(text: str):
    host, _, port = text.rpartition(":")
    return ip_address(host.strip("[]")), int(port)

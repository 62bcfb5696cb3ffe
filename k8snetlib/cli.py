"""The ``k8snet`` command: ``lab``, ``trace``, ``doctor`` and ``build``.

Exit codes: 0 done (for ``trace``: delivered), 1 the answer is no (dropped; something does not work here; notebooks differ), 2 a mistake in
what was asked. A mistake is one line on standard error, never a traceback.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .errors import K8sNetError
from .kube.agents import NO_PROXY
from .kube.cni import CNIS
from .kube.outside import KINDS
from .kube.proxy import MODES

OK, NO, MISTAKE = 0, 1, 2
TEXT = {
    "about": "Kubernetes networking, computed: trace packets through your own manifests, and work through the course.",
    "lab": "open the course in JupyterLab",
    "lab-folder": "make your own copy of the course in this folder, or go on with the copy in it (default: ./k8snet-course where the package was "
    "installed without its sources, else the sources themselves)",
    "lab-copy": "make or complete your own copy and start nothing, where a JupyterLab already runs (as on a JupyterHub)",
    "lab-browser": "start the server and print its address, but open no browser",
    "trace": "walk a packet through the cluster that manifests describe",
    "trace-files": "manifest files or folders; - reads standard input; none takes the course's own cluster",
    "from": "who sends: pod/NAME, deploy/NAME, node/NAME (or just a Pod's name), or client, somebody outside",
    "to": "who is to get it: svc/NAME:PORT, pod/NAME:PORT (or its name), node/NAME:PORT, lb/NAME:PORT or ADDRESS:PORT; "
    "or a URL, for the whole journey of a request through an Ingress or a Gateway",
    "method": "the request's method, with a URL (default: GET)",
    "header": "a header of the request, with a URL; may be repeated",
    "entry": "which way in, with a URL, where there are several: ingress/CLASS, gateway/NAMESPACE/NAME, or service/NAME straight",
    "controller": "bring a controller for Ingresses and Gateways, and their classes, where the manifests have none",
    "via": "the Service that leads to the controller, with a URL, where nothing says which: svc/NAMESPACE/NAME",
    "namespace": "the namespace of both names, where a name occurs in several (or write pod/NAMESPACE/NAME)",
    "cni": "the network plug-in (default: vxlan)",
    "proxy": "kube-proxy's mode, or none",
    "all": "every outcome with its weight, instead of one walk",
    "compare": "kube-proxy modes to set side by side, with every outcome in each",
    "ways": "the same packet by several network plug-ins, side by side: what they pass, add, look up, and who knew the way",
    "balancer": "there is a load balancer, which gives LoadBalancer Services an address",
    "balancer-kind": "the same, and how it works: VIP passes packets on to nodes (default), Proxy ends connections and opens its own to "
    "node ports, Pods to Pods, and with ARP an elected node answers for the address",
    "proto": "tcp, udp, sctp or icmp (default: what the port declares; icmp where there is no port)",
    "families": "address families of Pods, primary first",
    "family": "which family to send, where Pods have addresses of both (default: the first of --families)",
    "reply": "show the way back as well",
    "short": "leave out the deciding routes, rules and entries",
    "pcap": "write every frame to this capture file (pcapng)",
    "json": "print the result as JSON",
    "color": "when to use colour",
    "doctor": "say what works on this machine, and what to do about the rest",
    "build": "run the notebooks, and cut the exercises from the solutions (needs the project's sources)",
    "check": "change nothing; exit 1 if anything committed differs from what a build makes",
    "only": "only notebooks whose names begin with this",
    "record": "run the lab's experiments live and record them anew (needs a machine where the lab works; what its kernel lacks "
    "stays as recorded)",
    "interrupted": "interrupted",
    "unwritten": "cannot write the answer: {reason}",
    "usage": "{program}: {message} ({program} --help says more)\n",
}
PLAIN = {"→": "->", "←": "<-", "─": "-", "…": "...", "≈": "~", "–": "-", "✓": "+", "✗": "!", "“": '"', "”": '"', "’": "'"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk says that takes no more


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code comes back."""
    _open_streams()
    parser = _parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help(sys.stderr)
        return MISTAKE
    try:
        code = options.run(options)
        sys.stdout.flush()
        return code
    except K8sNetError as error:
        print(f"k8snet: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print(f"k8snet: {TEXT['interrupted']}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nothing to say, and nobody to say it to
        return OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        with contextlib.suppress(OSError):  # else the interpreter tries once more to write what is left
            sys.stdout.close()
        print(f"k8snet: {TEXT['unwritten'].format(reason=error.strerror)}", file=sys.stderr)
        return MISTAKE


def _open_streams() -> None:
    """Where the caller has closed standard output or error (``>&-``), what is written there goes nowhere; Python has None for such a one.

    An output in an older encoding, as Windows has for a pipe, gets plain signs for those that it lacks.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (open to the end)

    codecs.register_error("plain", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encoders: what to write in place of signs that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, as every other of this command's."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, TEXT["usage"].format(program=self.prog, message=message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="k8snet", description=TEXT["about"])
    parser.add_argument("--version", action="version", version=f"k8snet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_lab(commands.add_parser("lab", help=TEXT["lab"], description=TEXT["lab"]))
    _add_trace(commands.add_parser("trace", help=TEXT["trace"], description=TEXT["trace"]))
    doctor = commands.add_parser("doctor", help=TEXT["doctor"], description=TEXT["doctor"])
    doctor.set_defaults(run=_later("doctor"))
    build = commands.add_parser("build", help=TEXT["build"], description=TEXT["build"])
    build.add_argument("--check", action="store_true", help=TEXT["check"])
    build.add_argument("--record", action="store_true", help=TEXT["record"])
    build.add_argument("only", nargs="*", metavar="NN", help=TEXT["only"])
    build.set_defaults(run=_later("build"))
    return parser


def _add_lab(lab: argparse.ArgumentParser) -> None:
    lab.add_argument("--folder", default="", help=TEXT["lab-folder"])
    lab.add_argument("--copy", action="store_true", help=TEXT["lab-copy"])
    lab.add_argument("--no-browser", action="store_true", help=TEXT["lab-browser"])
    lab.set_defaults(run=_later("lab"))


def _add_trace(trace: argparse.ArgumentParser) -> None:
    trace.add_argument("files", nargs="*", metavar="FILE", help=TEXT["trace-files"])
    trace.add_argument("--from", dest="source", required=True, metavar="WHO", help=TEXT["from"])
    trace.add_argument("--to", dest="target", required=True, metavar="WHOM", help=TEXT["to"])
    trace.add_argument("-n", "--namespace", default="", help=TEXT["namespace"])
    trace.add_argument("--cni", choices=list(CNIS), default="", help=TEXT["cni"])
    trace.add_argument("--proxy", choices=[*MODES, NO_PROXY], default="iptables", help=TEXT["proxy"])
    trace.add_argument("--balancer", action="store_true", help=TEXT["balancer"])
    trace.add_argument("--balancer-kind", choices=list(KINDS), default="", help=TEXT["balancer-kind"])
    trace.add_argument("--proto", choices=["tcp", "udp", "sctp", "icmp"], default="", help=TEXT["proto"])
    trace.add_argument("--families", default="IPv4", metavar="IPv4[,IPv6]", help=TEXT["families"])
    trace.add_argument("--family", choices=["IPv4", "IPv6"], default="", help=TEXT["family"])
    trace.add_argument("--reply", action="store_true", help=TEXT["reply"])
    trace.add_argument("--all", action="store_true", help=TEXT["all"])
    trace.add_argument("--compare", metavar="MODE,MODE", help=TEXT["compare"])
    trace.add_argument("--ways", metavar="CNI,CNI", help=TEXT["ways"])
    trace.add_argument("--method", default="", help=TEXT["method"])
    trace.add_argument("--header", action="append", metavar="NAME: VALUE", help=TEXT["header"])
    trace.add_argument("--entry", default="", metavar="ENTRY", help=TEXT["entry"])
    trace.add_argument("--controller", action="store_true", help=TEXT["controller"])
    trace.add_argument("--via", default="", metavar="SERVICE", help=TEXT["via"])
    trace.add_argument("--short", action="store_true", help=TEXT["short"])
    trace.add_argument("--pcap", metavar="FILE", help=TEXT["pcap"])
    trace.add_argument("--json", action="store_true", help=TEXT["json"])
    trace.add_argument("--color", choices=["auto", "always", "never"], default="auto", help=TEXT["color"])
    trace.set_defaults(run=_later("trace"))


def _later(name: str):
    """The command's function, imported when it runs."""

    def run(options: argparse.Namespace) -> int:
        from importlib import import_module

        return import_module(f"{__package__}.commands.{name}").run(options)

    return run


if __name__ == "__main__":
    sys.exit(main())

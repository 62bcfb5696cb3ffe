"""HTTP in the lab: the part of ``Lab`` that starts web servers and real proxies in its namespaces and sends requests to them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from tempfile import TemporaryDirectory

from ..errors import LabError
from ..linux.packet import IPAddress
from ..value import value

START_LIMIT, ASK_LIMIT = 10.0, 5.0  # seconds
CERTIFICATE = "certificate.pem"
PROXIES = {
    "nginx": ("nginx", "-p", "{folder}", "-c", "{folder}/proxy.conf", "-e", "{folder}/error.log"),
    "haproxy": ("haproxy", "-db", "-f", "{folder}/proxy.conf"),
}
CLOSED = "closed"  # without an answer
TEXT = {
    "kind": "the lab has no proxy {kind!r}: nginx or haproxy",
    "answer": "no HTTP answer: {data!r}",
    "openssl": "making a certificate needs the program openssl, from Debian's package openssl",
}


@value
class Answer:
    """What an HTTP client in the lab got: ``error`` is an errno's or TLS's name or "closed", else ``""``; ``pod`` the name of the web server that
    answered, ``asked`` what that saw (method, path, host, headers, peer), both empty where a proxy answered itself."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    pod: str = ""
    asked: Mapping[str, object] = ()  # type: ignore[assignment]
    error: str = ""
    certificate: str = ""

    def header(self, name: str) -> str | None:
        return next((content for each, content in self.headers if each.lower() == name.lower()), None)


class Web:
    """What ``Lab`` can do with HTTP. Each method raises LabError when the program or the kernel refuses."""

    def web(self, netns: str, ports: Sequence[int], name: str = "", version: int = 4) -> None:
        """Start a web server that answers every request with what it was asked, as ``name`` (default: the namespace's)."""
        what = f"web server in {netns}"
        self._ask("web", what, START_LIMIT + 10, netns=netns, ports=list(ports), name=name or netns, version=version, limit=START_LIMIT)

    def proxy(self, netns: str, kind: str, conf: str, ports: Sequence[int], *, certificate: str = "", version: int = 4) -> None:
        """Start ``nginx`` or ``haproxy`` with a configuration, in which ``{folder}`` stands for its own folder and ``certificate.pem`` in it
        for ``certificate``; wait until it listens at ``ports``. LabError with its own words where it does not like the configuration, and
        for another kind."""
        if kind not in PROXIES:
            raise LabError(TEXT["kind"].format(kind=kind))
        files = {"proxy.conf": conf.encode()} | ({CERTIFICATE: certificate.encode()} if certificate else {})
        wanted = {
            "name": f"proxy {netns}",
            "netns": netns,
            "argv": list(PROXIES[kind]),
            "files": files,
            "ports": list(ports),
            "version": version,
        }
        self._ask("service_start", f"{kind} in {netns}", START_LIMIT + 10, **wanted, limit=START_LIMIT)

    def stop_proxy(self, netns: str) -> None:
        """End the proxy of a namespace."""
        self._ask("service_stop", f"proxy in {netns}", name=f"proxy {netns}")

    def http(
        self,
        netns: str,
        address: str | IPAddress,
        port: int,
        path: str = "/",
        *,
        host: str = "",
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        secure: bool = False,
        sni: str = "",
        timeout: float = ASK_LIMIT,
    ) -> Answer:
        """Send one request from a namespace, on a connection of its own, over TLS if ``secure`` (no certificate is refused)."""
        to = ip_address(address)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {content}" for name, content in headers), "Connection: close"]
        wanted = {
            "netns": netns,
            "version": to.version,
            "address": str(to),
            "port": port,
            "secure": secure,
            "sni": sni or _server_name(host),
        }
        raw = self._ask("exchange", "", timeout + 10, **wanted, data=("\r\n".join(lines) + "\r\n\r\n").encode(), timeout=timeout)
        certificate = subject(raw["certificate"]) if raw["certificate"] else ""
        if raw["error"] or not raw["data"]:
            return Answer(error=raw["error"] or CLOSED, certificate=certificate)
        return _answer(raw["data"], certificate)


def _server_name(host: str) -> str:
    """A Host's name for the handshake, in which no address may stand (RFC 6066, 3)."""
    name = "" if host.startswith("[") else host.partition(":")[0]
    return "" if re.fullmatch(r"[\d.]*", name) else name


def _answer(data: bytes, certificate: str) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    found = re.match(r"HTTP/1\.[01] (\d{3})", lines[0])
    if not found:
        raise LabError(TEXT["answer"].format(data=data[:80]))
    headers = tuple((name, content.strip()) for name, _, content in (line.partition(":") for line in lines[1:]))
    pod = next((content for name, content in headers if name.lower() == "x-from"), "")
    asked: Mapping[str, object] = json.loads(_dechunked(body, headers)) if pod and body else {}
    return Answer(int(found[1]), headers, pod, asked, "", certificate)


def _dechunked(body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    if not any(name.lower() == "transfer-encoding" for name, _ in headers):
        return body
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        out, body = out + rest[:length], rest[length + 2 :] if length else b""
    return out


@lru_cache(maxsize=8)
def make_certificate(*names: str) -> str:
    """A self-signed certificate for these DNS names with its key, as PEM, valid for two days; made on the spot. LabError without
    openssl."""
    with TemporaryDirectory() as folder:
        argv = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
            "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem",
        ]  # fmt: skip
        try:
            subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
        except FileNotFoundError:
            raise LabError(TEXT["openssl"]) from None
        with open(f"{folder}/cert.pem") as certificate, open(f"{folder}/key.pem") as key:
            return certificate.read() + key.read()


def subject(der: bytes) -> str:
    """The common name of a certificate's subject: the last one in it, as a self-signed certificate names its issuer first."""
    found = [at for at in range(len(der) - 5) if der[at : at + 5] == b"\x06\x03\x55\x04\x03"]  # the object identifier 2.5.4.3
    at = found[-1] + 5
    return der[at + 2 : at + 2 + der[at + 1]].decode()

"""Secrets with certificates, as far as manifests tell: which there are, and whether what they hold could be a certificate and its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from ...value import value
from .objects import Gateway, Ingress, ListenerSet

if TYPE_CHECKING:
    from ..manifests import Manifests, Skipped

TEXT = {
    "none": "there is no Secret {key}",
    "type": "Secret {key} is of type {type} and has no tls.crt",
    "missing": "Secret {key} has no {name}",
    "base64": "Secret {key}: {name} is not base64",
    "pem": "Secret {key}: {name} holds no PEM block",
}
FIELDS = ("tls.crt", "tls.key")
"""What a Secret of type kubernetes.io/tls has."""
PEM = b"-----BEGIN "
TLS = "kubernetes.io/tls"
ISSUER, ACME = "cert-manager.io/", "kubernetes.io/tls-acme"
"""Annotations by which cert-manager makes the certificates that the object names."""
MADE = {
    "Certificate": ("spec", "secretName"),
    "ExternalSecret": ("spec", "target", "name"),
    "SealedSecret": ("spec", "template", "metadata", "name"),
}
"""Kinds from which controllers make Secrets, and where the Secret's name stands if it is not the object's own."""


@value
class Secrets:
    """What is known of Secrets with certificates: by key, what is wrong with each that there is, and the keys of those that cert-manager will
    make. ``told`` is whether the manifests have any at all; if not, each that somebody refers to is taken to be there."""

    found: Mapping[str, str] = field(default_factory=dict)
    issued: frozenset[str] = frozenset()
    told: bool = False

    def problem(self, key: str) -> str:
        """Why nobody can show this certificate, or ``""``."""
        if key in self.found:
            return self.found[key]
        return TEXT["none"].format(key=key) if self.told and key not in self.issued else ""

    def assumed(self, key: str) -> bool:
        """Whether it is taken to be there though no manifest has it."""
        return key not in self.found and not self.told and key not in self.issued


UNTOLD = Secrets()
"""Nothing is known: each is taken to be there."""


def references(manifests: Manifests) -> Iterator[tuple[Mapping[str, str], str]]:
    """The Secrets whose certificates Ingresses, Gateways and ListenerSets show, by key, each with the annotations of who names it."""
    for each in manifests.of(Ingress):
        yield from ((each.annotations, f"{each.namespace}/{tls.secret_name}") for tls in each.tls if tls.secret_name)
    for owner in (*manifests.of(Gateway), *manifests.of(ListenerSet)):
        refs = (ref for each in owner.listeners for ref in each.certificates)
        yield from ((owner.metadata.annotations, f"{ref.namespace}/{ref.name}") for ref in refs)


def known(keys: Iterable[str]) -> Secrets:
    """Secrets of which it is known that these are all, and that nothing is wrong with them."""
    return Secrets(dict.fromkeys(keys, ""), told=True)


def secrets(manifests: Manifests) -> Secrets:
    """What manifests tell. The content of a Secret to which nobody refers is not looked at."""
    named = list(references(manifests))
    wanted = {key for _, key in named}
    issued = {key for annotations, key in named if any(name == ACME or name.startswith(ISSUER) for name in annotations)}
    found: dict[str, str] = {}
    for each in manifests.skipped:
        key = f"{each.namespace or 'default'}/{each.name}"
        if each.kind == "Secret" and (key in wanted or _type(each) == TLS):
            found[key] = _wrong(key, each) if key in wanted else ""
        elif each.kind in MADE:
            issued.add(f"{each.namespace or 'default'}/{_text(each.data, *MADE[each.kind]) or each.name}")
    return Secrets(found, frozenset(issued), bool(found))


def _text(data: object, *path: str) -> str | None:
    """The string at a path; None where there is none."""
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data if isinstance(data, str) else None


def _type(secret: Skipped) -> str:
    """Its type: an empty one is Opaque."""
    return _text(secret.data, "type") or "Opaque"


def _wrong(key: str, secret: Skipped) -> str:
    """What is wrong with it: nothing, where its content is left out, as it mostly is from manifests in a repository."""
    encoded = {name: _text(secret.data, "data", name) for name in FIELDS}
    plain = {name: _text(secret.data, "stringData", name) for name in FIELDS}
    if all(text is None for text in (*encoded.values(), *plain.values())):
        return "" if _type(secret) == TLS else TEXT["type"].format(key=key, type=_type(secret))
    problems = (_problem(encoded[name], plain[name]) for name in FIELDS)
    return next((TEXT[what].format(key=key, name=name) for name, what in zip(FIELDS, problems, strict=True) if what), "")


def _problem(encoded: str | None, plain: str | None) -> str:
    """``stringData`` wins over ``data``, as in the API server."""
    if plain is not None:
        return "" if PEM in plain.encode() else "pem"
    if encoded is None:
        return "missing"
    from binascii import Error, a2b_base64

    try:
        content = a2b_base64("".join(encoded.split()).encode(), strict_mode=True)
    except (Error, UnicodeEncodeError):
        return "base64"
    return "" if PEM in content else "pem"

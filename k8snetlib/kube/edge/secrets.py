"""Secrets with certificates, as far as manifests tell: which there are, and whether what they hold could be a certificate and its key."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from .objects import Gateway, Ingress, ListenerSet

if TYPE_CHECKING:
    from ..manifests import Manifests, Skipped

TEXT = {
    "missing": "Secret {key} has no {name}",
    "base64": "Secret {key}: {name} is not base64",
    "pem": "Secret {key}: {name} holds no PEM block",
}
FIELDS = ("tls.crt", "tls.key")
"""What a Secret of type kubernetes.io/tls has."""
PEM = b"-----BEGIN "


def referred(manifests: Manifests) -> frozenset[str]:
    """The keys of the Secrets whose certificates Ingresses, Gateways and ListenerSets show."""
    owners = (*manifests.of(Gateway), *manifests.of(ListenerSet))
    listeners = {f"{ref.namespace}/{ref.name}" for owner in owners for each in owner.listeners for ref in each.certificates}
    return frozenset(listeners | {f"{each.namespace}/{tls.secret_name}" for each in manifests.of(Ingress) for tls in each.tls})


def certificates(skipped: Iterable[Skipped], wanted: Container[str]) -> dict[str, str]:
    """Every Secret by its key, with what is wrong with it: ``""`` where nothing is, where nobody wants to know (``wanted`` are the keys that
    somebody refers to), and where its content is left out, as it mostly is from manifests in a repository."""
    found = {f"{each.namespace or 'default'}/{each.name}": each for each in skipped if each.kind == "Secret"}
    return {key: _wrong(key, each) if key in wanted else "" for key, each in found.items()}


def _wrong(key: str, secret: Skipped) -> str:
    document = secret.location.document
    if document is None:
        return ""
    encoded = {name: document.find(("data", name))[1] for name in FIELDS}
    plain = {name: document.find(("stringData", name))[1] for name in FIELDS}
    if all(text is None for text in (*encoded.values(), *plain.values())):
        return ""
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

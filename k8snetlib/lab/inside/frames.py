"""Messages between the learner's process and its helper: a length, then a pickle of plain values.

Both ends run this same file as the same user, and the socket pair is theirs alone, so pickle's trust in its input is no concern.
"""

from __future__ import annotations

import pickle
import socket
import struct

LENGTH = struct.Struct("!I")


def send(control: socket.socket, message: object) -> None:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    control.sendall(LENGTH.pack(len(body)) + body)


def receive(control: socket.socket) -> object | None:
    """The next message; None when the other end has closed."""
    head = _exactly(control, LENGTH.size)
    body = _exactly(control, LENGTH.unpack(head)[0]) if head else None
    return pickle.loads(body) if body else None


def _exactly(control: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = control.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)

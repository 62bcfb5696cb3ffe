"""``ip_address``, ``ip_network`` and ``ip_interface`` as in ``ipaddress``, each answer remembered.

The values are immutable, and the same few addresses are asked for again and again while a cluster is read and built: parsing them
took a third of that time.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

ip_address = lru_cache(maxsize=1 << 16)(ipaddress.ip_address)
ip_network = lru_cache(maxsize=1 << 16)(ipaddress.ip_network)
ip_interface = lru_cache(maxsize=1 << 16)(ipaddress.ip_interface)

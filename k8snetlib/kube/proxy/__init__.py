"""kube-proxy: Services and EndpointSlices in, one node's rule set out. One file for each mode; what they share is in ``endpoints``.

A mode is ``compile(services, slices, config) -> rule set`` for one address family of one node. Nothing here looks at a packet: rule
sets are run by the kernel half (``linux.netfilter``, ``linux.nftables``, ``linux.ipvs``), which does not know what a Service is.
"""

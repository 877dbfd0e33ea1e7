"""Found by every Python that has this folder on its path, the clients' own commands included.

Names below `localhost` are this machine (RFC 6761). Browsers know that; many systems' resolvers do not.
"""

import socket

_ask_the_system = socket.getaddrinfo


def _getaddrinfo(host, *rest, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name.rstrip(".").endswith(".localhost"):
        host = "127.0.0.1"
    return _ask_the_system(host, *rest, **named)


socket.getaddrinfo = _getaddrinfo

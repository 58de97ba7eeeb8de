"""Ports that stay ours between choosing them and a server listening on them.

Several control planes run at once, from several processes, so "bind to port 0, close, hope" is a race. Here the socket
stays bound (never listening) with SO_REUSEPORT for as long as the control plane lives: the kernel gives the port to
nobody else, and a server that sets SO_REUSEPORT as well can listen on it, and again after a restart.
"""

import socket


class ReservedPort:
    """A free TCP port of the loopback interface, kept from others until `release`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back; harmless when repeated."""
        self._socket.close()

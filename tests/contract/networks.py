"""Connections that a test can cut: a network namespace per worker, or a TCP cable where that is not permitted."""

import contextlib
import ctypes
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
RESET = struct.pack("ii", 1, 0)
"""Value of SO_LINGER with which closing sends a reset and drops what was not sent yet."""


class Cable:
    """Forwards TCP from a listening socket to a port of ours; can be torn, which loses what is under way."""

    def __init__(self, port, listener=None):
        self._to = ("127.0.0.1", port)
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._whole = True
        self._ends = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def tear(self):
        """Reset every connection, and every new one until mended."""
        self._whole = False
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self._whole = True

    def close(self):
        self.tear()
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(near,), daemon=True).start()

    def _forward(self, near):
        if not self._whole:
            near.close()
            return
        with contextlib.suppress(OSError), near, socket.create_connection(self._to) as far:
            self._ends |= {near, far}
            with selectors.DefaultSelector() as ready:
                ready.register(near, selectors.EVENT_READ, far)
                ready.register(far, selectors.EVENT_READ, near)
                while self._whole and self._pump(ready):
                    pass
            if not self._whole:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._ends -= {near, far}

    def _pump(self, ready):
        for key, _ in ready.select(timeout=0.5):
            data = key.fileobj.recv(65536)
            if not data:
                return False
            key.data.sendall(data)
        return True


class Namespace:
    """A network of its own, joined to ours by one link; the gateway is reached through a socket inside."""

    def __init__(self, number, gateway_port):
        self._name = f"tfy{os.getpid() % 10000}x{number}"
        self._link = f"v{self._name}"
        self.host = f"10.213.{number}.1"
        ip("netns", "add", self._name)
        ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("addr", "add", f"{self.host}/30", "dev", self._link)
        ip("link", "set", self._link, "up")
        ip("-n", self._name, "addr", "add", f"10.213.{number}.2/30", "dev", "eth0")
        ip("-n", self._name, "link", "set", "eth0", "up")
        ip("-n", self._name, "link", "set", "lo", "up")
        self._gateway = Cable(gateway_port, self._listener())
        self.gateway_port = self._gateway.port
        self.prefix = ["ip", "netns", "exec", self._name]

    def _listener(self):
        """Return a socket that listens on the loopback of the namespace: only making it needs a thread there."""
        made = []

        def make():
            with Path(f"/run/netns/{self._name}").open("rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server(("127.0.0.1", 0)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def tear(self):
        """Take the link down: packets vanish, and neither side is told."""
        ip("link", "set", self._link, "down")

    def mend(self):
        ip("link", "set", self._link, "up")

    def close(self):
        self._gateway.close()
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            ip("netns", "del", self._name)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


def namespaces_are_permitted():
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    name = f"tfy{os.getpid()}probe"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True

"""Run one command with a key added to what it sends: forwarder.py COMMAND [ARG...]

The command gets FORWARDER_URL in its environment. Whatever it sends there goes to SERVER_URL, with the header
`X-API-Key` of SERVER_KEY and `Connection: close` at the end of each request's head. Every other byte, `Host`, `Origin`
and the spelling of header names included, arrives as it was sent, and every byte of the answer comes back as it was.

Why it is there: the conformance suite sends no headers of our choosing, so the key has to stand in the URL. But its
scenario `http-header-validation` requests the URL's path alone and drops the query (`path: url.pathname`), so the key
is gone, and a server that wants one rightly answers 401. The suite tests the protocol, not the key: the forwarder
brings the key, and the server stays as strict as it is.
"""

import os
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

SERVER = urlsplit(os.environ["SERVER_URL"])
# One request a connection: the next one's head would otherwise have to be found behind this one's body.
ADDED = f"X-API-Key: {os.environ['SERVER_KEY']}\r\nConnection: close\r\n".encode()
MAX_HEAD = 64 * 1024


def head_of(client):
    """The head of a request, and what came behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = client.recv(65536)
        if not part or len(received) > MAX_HEAD:
            return None, b""
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def pump(source, target):
    """Bytes from one side to the other until there are no more, then the other side learns of the end."""
    try:
        while part := source.recv(65536):
            target.sendall(part)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def forward(client):
    with client:
        head, rest = head_of(client)
        if head is None:
            return
        with socket.create_connection((SERVER.hostname, SERVER.port)) as server:
            server.sendall(head + b"\r\n" + ADDED + b"\r\n" + rest)
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            pump(server, client)


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=forward, args=(client,), daemon=True).start()


def main(command):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return subprocess.run(command, env=os.environ | {"FORWARDER_URL": url}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Servers behind HAProxy with the settings of `haldir init --postgres`: servers.py HALDIR-MCP FOLDER

Needs HALDIR_TEST_POSTGRES, see tests/postgres/run. Each server marks its request ids with a prefix of its own, so a response says
which one has sent it.
"""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

GIVE_UP_SECONDS = 60
CLIENTS = 12
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, holds):
    end = time.monotonic() + GIVE_UP_SECONDS
    while not (found := holds()):
        assert time.monotonic() < end, f"this did not happen: {what}"
        time.sleep(0.02)
    return found


class Response:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        # The last characters count requests.
        self.server = (self.headers["x-request-id"] or "")[:12]

    def __repr__(self):
        return f"{self.status} of {self.server}: {self.body[:200]}"

    def json(self):
        return json.loads(self.body)


def ask(port, method, path, body=None, **headers):
    """Sends one request on a connection of its own; `None` if the connection breaks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_SECONDS)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        body = json.dumps(body)
        names.setdefault("Content-Type", "application/json")
    with contextlib.closing(connection):
        try:
            connection.request(method, path, body, names)
            return Response(connection.getresponse())
        except OSError:
            return None


class Deployment:
    """What compose starts, by hand: HAProxy knows the servers by their ports instead of Docker's DNS."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        lines = (folder / ".env").read_text().splitlines()
        self.variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        self.ports = [free_port(), free_port()]
        self.port = free_port()
        self.processes = []

    def start(self, number):
        environment = {name: value for name, value in self.variables.items() if name.startswith("HALDIR_")}
        environment |= {"HALDIR_DB": os.environ["HALDIR_TEST_POSTGRES"], "HALDIR_PG_POOL_MAX": "16", "HOME": str(self.folder)}
        environment |= {"HALDIR_LISTEN": f"127.0.0.1:{self.ports[number]}", "HALDIR_CONFIG": str(self.folder / "haldir.toml")}
        with open(self.folder / "servers.log", "ab") as log:
            server = subprocess.Popen([self.program, "serve"], env=environment, stdout=log, stderr=log)
        self.processes.append(server)
        until("the server is ready", lambda: (ready := ask(self.ports[number], "GET", "/readyz")) and ready.status == 200)
        return server

    def start_proxy(self):
        text = (self.folder / "haproxy.cfg").read_text()
        servers = "\n".join(f"    server haldir{n} 127.0.0.1:{port}" for n, port in enumerate(self.ports))
        text, count = re.subn(r"    server-template .*", servers, text)
        assert count == 2, "there is a list of servers in each backend"
        text = text.replace("bind :8000", f"bind 127.0.0.1:{self.port}").replace(" resolvers docker init-addr none", "")
        config = self.folder / "by-ports.cfg"
        config.write_text(text)
        with open(self.folder / "proxy.log", "ab") as log:
            self.processes.append(subprocess.Popen(["haproxy", "-db", "-f", config], stdout=log, stderr=log))
        until("the proxy finds a server", lambda: (ready := self.ask("GET", "/readyz")) and ready.status == 200)

    def ask(self, *request, **headers):
        return ask(self.port, *request, **headers)

    def key(self, **fields):
        body = {"name": "k", "bootstrap_token": self.variables["HALDIR_BOOTSTRAP_TOKEN"], **fields}
        return self.ask("POST", "/v1/keys", body).json()["key"]

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


class McpClient:
    """A client of a revision that has sessions."""

    def __init__(self, deployment, key):
        self.deployment = deployment
        self.headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
        begun = self.post(INITIALIZE)
        assert begun.status == 200, begun
        self.server = begun.server
        self.headers |= {"Mcp_Session_Id": begun.headers["mcp-session-id"], "Mcp_Protocol_Version": "2025-11-25"}
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202

    def post(self, message):
        return self.deployment.ask("POST", "/mcp", message, **self.headers)

    def ping(self):
        return self.post(PING)


def check(deployment):
    deployment.start(0)
    deployment.start_proxy()
    keys = [deployment.key(tenant_name=f"t{number}") for number in range(CLIENTS)]
    before = [McpClient(deployment, key) for key in keys]
    browser = deployment.ask("POST", "/dashboard/sign-in", f"key={keys[0]}", Content_Type="application/x-www-form-urlencoded")
    cookie = browser.headers["set-cookie"].split(";")[0]

    second = deployment.start(1)
    rest = lambda: deployment.ask("GET", "/v1/sessions", Authorization=f"Bearer {keys[0]}").server
    until("both servers get REST calls", lambda: len({rest() for _ in range(8)}) == 2)
    for client in before:
        assert all((pong := client.ping()).status == 200 and pong.server == client.server for _ in range(4))
    page = lambda: deployment.ask("GET", "/dashboard", Cookie=cookie)
    assert all((seen := page()).status == 200 and seen.server == browser.server for _ in range(6)), "the browser is signed in"
    print("ok sessions and a browser stay at their server when another is added")

    # What a client without a session asks for goes where its key goes.
    without = lambda key: deployment.ask("POST", "/mcp", PING, Authorization=f"Bearer {key}")
    until("keys are at both servers", lambda: len({without(key).server for key in keys}) == 2)
    after = [McpClient(deployment, key) for key in keys]
    for client, key in zip(after, keys, strict=True):
        for response in [client.ping(), without(key)]:
            assert (response.status, response.server) == (200, client.server), response
    print("ok the requests of a key go to one server, and keys to both")

    second.terminate()
    answers = [deployment.ask("GET", "/v1/sessions", Authorization=f"Bearer {keys[0]}").status for _ in range(50)]
    assert second.wait(GIVE_UP_SECONDS) == 0
    assert set(answers) == {200}, answers
    lost = [client for client in after if client.server != before[0].server]
    assert lost and all(client.ping().status == 404 for client in lost), "their session is unknown elsewhere"
    assert all(McpClient(deployment, key).ping().status == 200 for key in keys)
    print("ok a server that ends loses no request that reads, and its clients begin new sessions")


if __name__ == "__main__":
    deployment = Deployment(sys.argv[1], Path(sys.argv[2]))
    try:
        check(deployment)
    except BaseException:
        for name in ["servers.log", "proxy.log"]:
            print(f"--- {name}", (deployment.folder / name).read_text()[-4000:], sep="\n", file=sys.stderr)
        raise
    finally:
        deployment.end()

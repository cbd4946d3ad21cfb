"""What the harness runs and talks to: Postgres, haldir nodes, a receiver of webhooks, and an HTTP client."""

import asyncio
import dataclasses
import json
import os
import pwd
import random
import socket
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

# haldir retries a write for 5 s, and asks for 30 s whether a commit in doubt was made.
REQUEST_SECONDS = 45
START_SECONDS = 60
STOP_SECONDS = 20
# The goal for the time from the return of the database to the first acknowledged write.
RECOVERY_SECONDS = 5
FOREVER = float("inf")


class Unanswered(Exception):
    """A request without a response, or whose response says that haldir could not serve it."""


async def read_message(reader):
    """Reads an HTTP/1.1 request or response: the first line, the headers, the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") != "chunked":
        return head[0], headers, await reader.readexactly(int(headers.get("content-length", 0)))
    content = b""
    while size := int(await reader.readline(), 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return head[0], headers, content


class HttpClient:
    """An HTTP/1.1 client that keeps one connection for each port, and sends one request at a time."""

    def __init__(self):
        self.streams = {}

    async def request(self, port, method, path, headers=(), body=None):
        """Returns status and parsed body; raises `Unanswered`."""
        try:
            return await asyncio.wait_for(self._exchange(port, method, path, headers, body), REQUEST_SECONDS)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.close(port)
            raise Unanswered(f"{type(error).__name__} {error}") from error

    async def _exchange(self, port, method, path, headers, body):
        reader, writer = self.streams.get(port, (None, None))
        # A node that was killed since then has closed the connection.
        if reader is None or reader.at_eof() or reader.exception():
            self.close(port)
            reader, writer = self.streams[port] = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        payload = b"" if body is None else json.dumps(body, default=float).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(payload)}"]
        lines += ["Content-Type: application/json"] if payload else []
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        first, headers, content = await read_message(reader)
        if headers.get("connection") == "close":
            self.close(port)
        return int(first.split()[1]), json.loads(content, parse_float=Decimal) if content else None

    def close(self, port):
        if streams := self.streams.pop(port, None):
            streams[1].close()

    def close_all(self):
        for port in list(self.streams):
            self.close(port)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Postgres:
    """A primary in a folder of its own, and a synchronous standby."""

    def __init__(self, folder, has_standby):
        self.folder, self.has_standby = folder, has_standby
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        self.programs = Path(os.environ.get("PG_BIN") or (found[-1] if found else "/usr/bin"))
        self.ports = dict(zip(["primary", "standby"], free_ports(2)))
        # Postgres refuses to run as root.
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.prefix:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)

    async def run(self, program, *arguments):
        command = [*self.prefix, str(self.programs / program), *arguments]
        with open(self.folder / "commands.log", "ab") as log:
            process = await asyncio.create_subprocess_exec(*command, cwd=self.folder, stdout=log, stderr=log)
        if await process.wait() != 0:
            raise RuntimeError(f"{program} {' '.join(arguments)} failed: see {self.folder}/commands.log")

    async def start(self, server):
        # Processes are killed here, never the machine: what the kernel was given survives without fsync.
        options = f"-p {self.ports[server]} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off "
        options += "-c shared_buffers=32MB -c max_connections=150 -c max_wal_size=128MB -c wal_retrieve_retry_interval=200ms"
        if server == "primary" and self.has_standby:
            options += " -c synchronous_standby_names=*"
        await self.run("pg_ctl", "start", "-w", "-D", server, "-l", f"{self.folder}/{server}.log", "-o", options)

    async def stop(self, server, mode):
        await self.run("pg_ctl", "stop", "-w", "-D", server, "-m", mode)

    async def promote(self):
        await self.run("pg_ctl", "promote", "-w", "-D", "standby")

    async def make(self):
        address = ["-h", "127.0.0.1", "-p", str(self.ports["primary"]), "-U", "haldir"]
        await self.run("initdb", "-D", "primary", "-A", "trust", "-U", "haldir", "--no-sync")
        await self.start("primary")
        if self.has_standby:
            await self.run("pg_basebackup", *address, "-D", "standby", "-R", "-X", "stream", "-c", "fast", "--no-sync")
            await self.start("standby")
        await self.run("createdb", *address, "haldir")

    async def end(self):
        for server in self.ports:
            if (self.folder / server / "postmaster.pid").exists():
                await self.stop(server, "immediate")

    def url(self):
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return f"postgres://haldir@{hosts}/haldir?target_session_attrs=read-write"


@dataclasses.dataclass
class Outage:
    """A time in which the database, or a node, was away."""

    what: str
    begun: float
    ended: float = FOREVER
    # When the database was surely away, and by node number: when it acknowledged its first write afterwards, and for how long
    # the database and that node were back then.
    down: float = FOREVER
    first_writes: dict = dataclasses.field(default_factory=dict)

    def explains(self, begun, ended):
        """Whether a failure between these times may follow from it."""
        return begun <= self.ended + RECOVERY_SECONDS and ended >= self.begun


class Node:
    """A haldir process, on the same port after each restart."""

    def __init__(self, harness, number, port):
        self.harness, self.number, self.port = harness, number, port
        self.process = None
        self.outages = []

    def is_up(self):
        return self.back_at() < FOREVER

    def back_at(self):
        return self.outages[-1].ended if self.outages else -FOREVER

    async def start(self):
        """Starts the process, again if it ends because the database is away, and waits until it serves."""
        until, http = time.monotonic() + START_SECONDS, HttpClient()
        while time.monotonic() < until:
            if self.process is None or self.process.returncode is not None:
                await self.spawn()
            try:
                await http.request(self.port, "GET", "/livez")
                asyncio.create_task(self.watch(self.process))
                return http.close_all()
            except Unanswered:
                await asyncio.sleep(0.1)
            if self.process.returncode is not None:
                self.harness.counts["node starts that failed because the database was away"] += 1
                await asyncio.sleep(0.3)
        raise RuntimeError(f"node {self.number} does not serve after {START_SECONDS} s")

    async def spawn(self):
        harness = self.harness
        environment = {"PATH": os.environ["PATH"], "HOME": str(harness.folder), "NO_COLOR": "1", "RUST_BACKTRACE": "1"}
        environment |= {"DATABASE_URL": harness.postgres.url(), "HALDIR_ENCRYPTION_KEY": harness.master_key}
        environment |= {"HALDIR_BOOTSTRAP_TOKEN": harness.bootstrap_token, "HALDIR_PG_POOL_MAX": "8"}
        command = [harness.options.program, "serve", "--listen", f"127.0.0.1:{self.port}", "--allow-private", "127.0.0.1"]
        with open(harness.folder / f"node{self.number}.log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=environment, cwd=harness.folder, stdout=log, stderr=log
            )

    async def watch(self, process):
        code = await process.wait()
        if self.is_up():
            self.harness.fail(f"node {self.number} ended by itself with exit code {code}")

    async def kill_and_restart(self, pause):
        outage = Outage(f"node {self.number}", self.harness.now())
        self.outages.append(outage)
        self.process.kill()
        await self.process.wait()
        await asyncio.sleep(pause)
        await self.start()
        outage.ended = self.harness.now()
        self.harness.note(f"node {self.number} was killed at {outage.begun:.2f} s, and serves again")

    async def end(self):
        """Stops the process with SIGTERM; it must obey."""
        if self.process is None or self.process.returncode is not None:
            return
        self.outages.append(Outage("the end", self.harness.now()))
        self.process.terminate()
        try:
            code = await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            code = f"none after {STOP_SECONDS} s"
        if code != 0:
            self.harness.fail(f"node {self.number} was stopped with SIGTERM: exit code {code}")


@dataclasses.dataclass
class Delivery:
    """A webhook request that arrived."""

    attempt: int
    arrived: float
    answered: float = FOREVER


class Receiver:
    """Receives the webhooks of all tenants."""

    def __init__(self, harness):
        self.harness = harness
        # By path, which names the tenant, and event id.
        self.deliveries = defaultdict(list)
        self.revoked = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while True:
                first, headers, content = await read_message(reader)
                delivery = Delivery(int(headers["x-haldir-delivery-attempt"]), self.harness.now())
                self.deliveries[first.split()[1], headers["webhook-id"]].append(delivery)
                # Long enough for two nodes to meet, if they sent the same event.
                await asyncio.sleep(random.uniform(0.002, 0.03))
                event = json.loads(content)
                if event["event"] == "session_revoked":
                    self.revoked.add(event["session_id"])
                delivery.answered = self.harness.now()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (OSError, EOFError):
            writer.close()

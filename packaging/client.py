"""An MCP client on standard input and output, as small as a test needs, which measures the time until the first answer."""

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path

PROTOCOL = "2025-06-18"
ANSWER_TIMEOUT = 60.0  # seconds; for one answer
EXIT_TIMEOUT = 20.0  # seconds; for a program that was told to end
LARGEST_LINE = 4 * 1024 * 1024  # bytes


class Failed(Exception):
    """What was tried does not work; says what was seen."""


class Server:
    """A process that speaks MCP, from its start. `started` is when; use it as a context."""

    def __init__(self, command, env, cwd=None):
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd
        )
        self._lines = queue.Queue()
        self._errors = []
        self._last_id = 0
        self._threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._read_errors, daemon=True)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self):
        while line := self.process.stdout.readline(LARGEST_LINE):
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self._errors.append(line)

    def errors(self):
        return b"".join(self._errors).decode(errors="replace")

    def _send(self, message):
        try:
            self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"it ended: {self.errors() or 'without a word'}") from None

    def ask(self, method, params=None):
        """The result of a request."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": params or {}})
        until = time.monotonic() + ANSWER_TIMEOUT
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{method}: no answer within {ANSWER_TIMEOUT:.0f} s. Standard error: {self.errors()}") from None
            if line is None:
                self.process.wait(EXIT_TIMEOUT)
                raise Failed(f"{method}: it ended with {self.process.returncode}. Standard error: {self.errors()}")
            try:
                message = json.loads(line)
            except ValueError:
                raise Failed(f"standard output has a line that is not JSON: {line[:200]!r}") from None
            if message.get("id") == self._last_id:
                if "error" in message:
                    raise Failed(f"{method}: {message['error']}")
                return message["result"]

    def list_tools(self):
        """Shakes hands and lists the tools: their names, and the seconds from the start until they are there."""
        hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "packaging", "version": "1"}}
        self.ask("initialize", hello)
        self._send({"method": "notifications/initialized"})
        tools = self.ask("tools/list")["tools"]
        return [tool["name"] for tool in tools], time.monotonic() - self.started

    def call(self, tool, arguments):
        """The result of a tool, and whether it is an error."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        return result.get("structuredContent", result), result.get("isError", False)

    def memory(self):
        """The memory of the process and all that it started, in bytes, each shared page by its share. Linux only; else None."""
        if not Path("/proc/self/smaps_rollup").exists():
            return None
        total = 0
        for process in descendants(self.process.pid):
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue  # it has just ended
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    def end(self):
        """Closes standard input, as a client does at its end, and returns the exit code."""
        self.process.stdin.close()
        return self.process.wait(EXIT_TIMEOUT)


def descendants(root):
    """The process and all that it started, directly or not. Linux only."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def bare(home, path, **more):
    """The environment of a user who has nothing: an empty home, and these folders of programs."""
    environment = {"HOME": str(home), "PATH": os.pathsep.join(str(folder) for folder in path), **more}
    if os.name == "nt":  # without these no program starts there
        for name in ("SYSTEMROOT", "TEMP", "TMP", "COMSPEC", "PATHEXT"):
            if name in os.environ:
                environment[name] = os.environ[name]
        environment |= {"USERPROFILE": str(home), "APPDATA": str(home), "LOCALAPPDATA": str(home)}
    return environment


def table(head, rows):
    """The rows as text, columns aligned; the first column to the left."""
    rows = [head, *[["-" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def in_bytes(size):
    if size is None:
        return None
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"

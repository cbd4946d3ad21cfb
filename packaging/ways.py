"""The ways to install, as packaging/try goes them: each from nothing, in a bare environment, measured."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from client import Failed, Server, in_bytes

FROM_NOTHING_LIMIT = 10.0  # seconds, from the first command to the first answer
INSTALL_TIMEOUT = 120  # seconds
TOOLS = {"createSession", "getSession", "checkPermission", "authorizePayment", "getSecret"}  # some of those that must be listed
SYSTEM = (os.environ["SYSTEMROOT"] + r"\System32",) if os.name == "nt" else ("/usr/bin", "/bin")


def expect(condition, problem):
    if not condition:
        raise Failed(problem)


class Ways:
    """The ways to install, each from nothing in a folder of its own."""

    def __init__(self, project, one, out, work):
        self.project, self.one, self.out, self.work = project, one, out, work
        self.rows, self.passed, self.failed = [], 0, 0

    def file(self, pattern):
        found = list(self.out.glob(pattern))
        expect(len(found) == 1, f"{self.out} has {len(found)} files {pattern}: run packaging/build")
        return found[0]

    def folder(self, name):
        """An empty folder with an empty home."""
        folder = self.work / name
        (folder / "home").mkdir(parents=True)
        return folder

    def only(self, folder, **programs):
        """A folder of programs for PATH that has these alone."""
        path = folder / "bin"
        path.mkdir()
        for name, program in programs.items():
            (path / name).symlink_to(program)
        return path

    def check(self, name, what):
        """Runs one check, and counts it."""
        begun = time.monotonic()
        try:
            what()
        except (Failed, subprocess.TimeoutExpired, OSError) as problem:
            self.failed += 1
            print(f"FAILED  {name}: {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name} ({time.monotonic() - begun:.1f} s)", flush=True)

    def way(self, name, size, install, command, env):
        """Installs, starts and lists the tools, from nothing; then starts again. Both times go into the table."""

        def from_nothing():
            begun = time.monotonic()
            for one in install:
                run(one, env)
            installed = time.monotonic() - begun
            with Server(command, env) as server:
                names, first = server.list_tools()
                expect(TOOLS <= set(names), f"tools/list lacks {', '.join(sorted(TOOLS - set(names)))}")
                expect(server.end() == 0, "the end of standard input does not end it with 0")
            with Server(command, env) as server:
                again = server.list_tools()[1]
                memory = server.memory()
                server.end()
            seconds = installed + first
            self.rows.append([name, in_bytes(size), f"{seconds:.2f} s", f"{again * 1000:.0f} ms", in_bytes(memory)])
            expect(seconds <= FROM_NOTHING_LIMIT, f"{seconds:.1f} s from nothing to the first answer, over {FROM_NOTHING_LIMIT:.0f} s")

        self.check(f"{name}: from nothing to the first answer", from_nothing)


def run(command, env, expected=0):
    """Runs a command to its end, and returns what it wrote to both outputs."""
    done = subprocess.run(
        [str(part) for part in command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace", timeout=INSTALL_TIMEOUT,
    )  # fmt: skip
    expect(
        done.returncode == expected, f"exit code {done.returncode}, not {expected}, of {' '.join(map(str, command))}: {done.stdout[-2000:]}"
    )
    return done.stdout


def which(name):
    found = shutil.which(name)
    expect(found, f"{name} is not here")
    return Path(found).resolve()

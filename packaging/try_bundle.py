"""The bundle for Claude Desktop, started as a host starts it, with and without settings."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import tools
from client import EXIT_TIMEOUT, Server, bare
from ways import SYSTEM, expect

CEILING = 100  # USD; what a session may spend if nothing is set


def launch_of(bundle, settings):
    """How a host starts the bundle with these settings, by the library of its format."""
    script = (
        "const {getMcpConfigForManifest} = require('@anthropic-ai/mcpb'), [, folder, settings] = process.argv;"
        "getMcpConfigForManifest({manifest: require(folder + '/manifest.json'), extensionPath: folder, systemDirs: {HOME: '/nowhere'},"
        " userConfig: JSON.parse(settings), pathSeparator: '/', logger: console}).then((one) => console.log(JSON.stringify(one)));"
    )
    environment = os.environ | {"NODE_PATH": str(tools.node_modules())}
    launch = json.loads(tools.read(["node", "-e", script, bundle, json.dumps(settings)], env=environment))
    return [launch["command"], *launch["args"]], launch["env"]


def try_bundle(ways):
    folder = ways.folder("mcpb")
    packed = ways.file("*.mcpb")
    bundle = folder / "extension"
    mcpb = tools.node_modules() / "@anthropic-ai/mcpb/dist/cli/cli.js"
    tools.read(["node", mcpb, "unpack", packed, folder / "checked"])  # its own tool can read it
    env = bare(folder / "home", SYSTEM)
    # Its own tool loses the permission to execute, which the hosts restore by the archive.
    install = [[sys.executable, "-c", UNPACK, packed, bundle]]
    nothing = launch_of(folder / "checked", {})
    command = [str(part).replace(str(folder / "checked"), str(bundle)) for part in nothing[0]]
    ways.way("bundle for Claude Desktop", packed.stat().st_size, install, command, env | nothing[1])

    def session(settings, spend, **more):
        command, variables = launch_of(bundle, settings)
        home = Path(tempfile.mkdtemp(dir=folder))
        with Server(command, env | {"HOME": str(home)} | variables | more) as server:
            server.list_tools()
            answer, is_error = server.call("createSession", {"agent_id": "tried", "scopes": ["read", "spend"], "spend_limit": spend})
            server.end()
        return answer, is_error, home

    keys = json.loads((bundle / "manifest.json").read_text("utf-8"))["user_config"]
    for label, settings in (("no setting", {}), ("empty settings", dict.fromkeys(keys, ""))):

        def defaults(settings=settings):
            answer, is_error, home = session(settings, CEILING)
            expect(not is_error, f"a session of {CEILING} USD is refused: {answer}")
            expect(list(home.rglob("haldir.db")), "there is no store in the user's data folder")
            answer, is_error, _ = session(settings, CEILING + 1)
            expect(is_error, f"a session of {CEILING + 1} USD is allowed: {answer}")

        ways.check(f"bundle: {label}, the ceiling of {CEILING} USD and the default store", defaults)

    def ceilings():
        store = folder / "elsewhere.db"
        answer, is_error, home = session({"max_spend": 5, "max_ttl": "1h", "store": str(store)}, 5)
        expect(not is_error and store.exists() and not list(home.rglob("haldir.db")), f"the settings are not used: {answer}")
        answer, is_error, _ = session({"max_spend": 5}, 6)
        expect(is_error, f"a session over the ceiling is allowed: {answer}")

    ways.check("bundle: ceilings and store as set", ceilings)

    def governed():
        servers = folder / "servers.toml"
        inner = json.dumps(command[0])
        servers.write_text(
            f"[upstreams.inner]\ncommand = {inner}\nenv = {{ HALDIR_DB = {json.dumps(str(folder / 'inner.db'))} }}\n", "utf-8"
        )
        launch, variables = launch_of(bundle, {"servers": str(servers)})
        with Server(launch, env | {"HOME": str(ways.folder("governed") / "home")} | variables) as server:
            until = time.monotonic() + EXIT_TIMEOUT
            server.list_tools()
            server.call("createSession", {"agent_id": "tried", "scopes": ["execute"]})
            while "inner__getSession" not in (names := [tool["name"] for tool in server.ask("tools/list")["tools"]]):
                expect(time.monotonic() < until, f"the tools of a listed server are not there: {names}")
                time.sleep(0.05)
            server.end()

    ways.check("bundle: servers to govern are started from a list", governed)

    def listed():
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        with Server(command, env) as server:
            names, _ = server.list_tools()
            prompts = [prompt["name"] for prompt in server.ask("prompts/list")["prompts"]]
            server.end()
        expect([tool["name"] for tool in manifest["tools"]] == names, "the tools of the manifest are not the server's")
        expect([prompt["name"] for prompt in manifest["prompts"]] == prompts, "the prompts of the manifest are not the server's")
        expect((bundle / "icon.png").read_bytes().startswith(b"\x89PNG"), "the icon is not a PNG")

    ways.check("bundle: the manifest names the tools and prompts of the server", listed)


# Unpacks as a host does: with permissions.
UNPACK = """
import pathlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        path = pathlib.Path(archive.extract(entry, sys.argv[2]))
        if mode := entry.external_attr >> 16 & 0o777:
            path.chmod(mode)
"""

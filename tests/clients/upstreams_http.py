"""Servers that other people wrote, as children of `haldir-mcp serve`: upstreams_http.py BINARY PACKAGES NODE

They stand in its config file, and are reached in two ways: at /mcp/{upstream}, where every message must say what the server
says on standard output by itself, with its text byte for byte but for the server's name in a form; and as `upstream__tool` on
/mcp and on standard input and output, where lists of tools must be the same but for the names, and results byte for byte, also
by the old name `upstream.tool`.
Prints `ok NAME` or `FAILED NAME: what was wrong` for each check.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import upstreams
from checks import expect, run_check, summary
from upstreams import BINARY, FOR_THE_ASKED, NODE, SERVERS, Http, Lines, answer, asked_of, members, same, undrawn

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


class Listening(Http):
    """A client with a stream of its own, on which it answers what it is asked."""

    def let_it_begin(self):
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": self.session, "MCP-Protocol-Version": "2025-06-18"}
        try:
            for line in urllib.request.urlopen(urllib.request.Request(self.url, headers=headers), timeout=60):
                if line.startswith(b"data: {"):
                    message = json.loads(line[6:])
                    if "method" in message and "id" in message:
                        self.post({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}).close()
        except OSError:
            pass  # the test is over


def transparent(label, server, url, questions):
    """/mcp/{upstream} against the server alone."""
    direct, behind, name = Lines([NODE, *server]), Listening(url), url.rsplit("/", 1)[1]
    run_check(f"{label}: the handshake", lambda: same(direct.begin(), behind.begin(), name))
    for method, params in questions:
        what = (params or {}).get("name") or (params or {}).get("uri") or ""
        ask = lambda server: server.ask(method, params)  # noqa: B023, E731
        run_check(f"{label}: {method} {what}".strip(), lambda: same(ask(direct), ask(behind), name))
    direct.end()


def result_text(lines):
    """The result of the last line as it was written."""
    return undrawn(dict(members(lines[-1]))["result"])


def prefixed(label, name, server, behind, questions):
    """`upstream__tool` against the server alone; `behind` is a client of haldir that has begun."""
    direct = Lines([NODE, *server])
    direct.ask("initialize", HELLO)
    direct.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def lists():
        alone = json.loads(direct.ask("tools/list")[-1])["result"]["tools"]
        # What must be called as a task is called over a connection of its own.
        alone = [tool for tool in alone if tool.get("execution", {}).get("taskSupport") != "required"]
        all_tools = json.loads(behind.ask("tools/list")[-1])["result"]["tools"]
        dotted = [tool["name"] for tool in all_tools if "." in tool["name"]]
        expect(not dotted, f"listed by old names: {dotted}")
        shown = {tool["name"].removeprefix(f"{name}__"): tool for tool in all_tools if tool["name"].startswith(f"{name}__")}
        expect(set(shown) - FOR_THE_ASKED == {tool["name"] for tool in alone} - FOR_THE_ASKED, f"{sorted(shown)}")
        for tool in alone:
            tool.pop("execution", None)  # how it may be called over its own connection
            one, other = tool | {"name": f"{name}__{tool['name']}"}, shown[tool["name"]]
            one, other = (json.dumps(definition, sort_keys=True) for definition in (one, other))  # in haldir's own order
            expect(one == other, f"direct {one}, behind haldir {other}")

    run_check(f"{label}: tools/list", lists)
    dotted = set()
    for method, params in questions:
        if method != "tools/call":
            continue
        names = [f"{name}__{params['name']}"]
        if params["name"] not in dotted:  # the old name, once for each tool
            dotted.add(params["name"])
            names.append(f"{name}.{params['name']}")
        for called in names:

            def compare():
                alone, through = direct.ask(method, params), behind.ask(method, params | {"name": called})  # noqa: B023
                one, other = (result_text(lines) for lines in (alone, through))
                if "isError" not in dict(members(one)) and one != other:  # /mcp may answer with `isError` in any case
                    one, other = sorted([*members(one), ("isError", "false")]), sorted(members(other))
                expect(one == other, f"direct {str(one)[:300]!r}, behind haldir {str(other)[:300]!r}")

            run_check(f"{label}: {called}", compare)
    direct.end()


def main():
    everything_script = str(SERVERS / "server-everything/dist/index.js")
    files_script = str(SERVERS / "server-filesystem/dist/index.js")
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        (folder / "b.png").write_bytes(b"png")
        config = Path(scratch) / "haldir.toml"
        config.write_text(
            f"[upstreams.everything]\ncommand = {json.dumps(NODE)}\nargs = {json.dumps([everything_script, 'stdio'])}\n"
            f"[upstreams.files]\ncommand = {json.dumps(NODE)}\nargs = {json.dumps([files_script, str(folder)])}\n"
        )
        store = ["--config", str(config), "--db", f"{scratch}/h.db"]
        environment = {"PATH": os.environ["PATH"], "HOME": scratch}
        haldir = subprocess.Popen(
            [BINARY, *store, "serve", "--listen", "127.0.0.1:0", "--local-agent"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment,
        )
        try:
            base = haldir.stdout.readline().removeprefix("haldir listening on ").strip()
            everything_server, files_server = [everything_script, "stdio"], [files_script, str(folder)]
            asked = asked_of("everything")
            transparent("everything, a child at /mcp/everything", everything_server, f"{base}/mcp/everything", asked)
            upstreams.CLIENT = {}  # with roots it would serve those instead of its folder
            transparent("filesystem, a child at /mcp/files", files_server, f"{base}/mcp/files", asked_of("files", folder))
            asked = [question for question in asked if "trigger-" not in str(question) and "roots" not in str(question)]
            for way in ("/mcp", "stdio"):
                client = Http(f"{base}/mcp") if way == "/mcp" else Lines([BINARY, *store], environment)
                client.begin()
                prefixed(f"everything__tool on {way}", "everything", everything_server, client, asked)
                prefixed(f"files__tool on {way}", "files", files_server, client, asked_of("files", folder))
                if way == "stdio":
                    run_check("haldir on stdio ends with its client, and its children with it", client.end)
        finally:
            haldir.send_signal(signal.SIGTERM)
            code = haldir.wait(20)
        run_check("serve ends well with its children", lambda: expect(code == 0, f"exit code {code}"))
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())

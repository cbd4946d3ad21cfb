"""The Python SDK with haldir in front of a server that others wrote, and without: upstreams_sdk.py BINARY PACKAGES NODE

In both of the SDK's ways to begin: `legacy` shakes hands, `auto` asks for 2026-07-28 first. Results are compared as the
SDK gives them.
"""

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from checks import expect, run_check, summary
from children import commands, served

BINARY, PACKAGES, NODE = sys.argv[1:4]
SCRIPT = f"{PACKAGES}/@modelcontextprotocol/server-everything/dist/index.js"


async def tour(server, era):
    """What a client sees of a server, step by step."""
    seen = {}
    async with Client(server, mode=era, read_timeout_seconds=30) as client:
        seen["version"] = client.protocol_version
        seen["tools"] = await client.list_tools()
        seen["echo"] = await client.call_tool("echo", {"message": "ü 1.10"})
        seen["image"] = await client.call_tool("get-tiny-image", {})
        seen["structured"] = await client.call_tool("get-structured-content", {"location": "New York"})
        seen["bad arguments"] = await client.call_tool("get-sum", {"a": "x"})
        seen["prompt"] = await client.get_prompt("args-prompt", {"city": "Paris"})
        seen["resources"] = await client.list_resources()
        seen["resource"] = await client.read_resource("demo://resource/dynamic/text/1")
    return {name: re.sub(r"\d+:\d\d:\d\d [AP]M", "TIME", repr(value)) for name, value in seen.items()}


async def files_tour(server, folder, prefix=""):
    """What a client makes of server-filesystem."""
    seen = {}
    async with Client(server, mode="legacy", read_timeout_seconds=30) as client:
        seen["read"] = await client.call_tool(f"{prefix}read_text_file", {"path": f"{folder}/b.txt"})
        seen["list"] = await client.call_tool(f"{prefix}list_directory", {"path": str(folder)})
        seen["refused"] = await client.call_tool(f"{prefix}read_text_file", {"path": "/etc/passwd"})
    return {name: repr(value) for name, value in seen.items()}


def over_http(environment):
    """The same servers as children of haldir, at /mcp/{upstream} and as `upstream.tool`."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        (folder / "b.txt").write_text("b")
        with served(BINARY, PACKAGES, NODE, folder) as base:
            direct = StdioServerParameters(command=NODE, args=commands(PACKAGES, folder)["everything"], env=environment)
            one = asyncio.run(tour(direct, "legacy"))
            other = asyncio.run(tour(streamable_http_client(f"{base}/mcp/everything"), "legacy"))
            for name in one:
                run_check(f"Python SDK, /mcp/everything: {name}", lambda: same(name, one, other))  # noqa: B023
            # A client of 2026-07-28 in front of a server that shakes hands.
            new = asyncio.run(tour(streamable_http_client(f"{base}/mcp/everything"), "auto"))
            run_check("Python SDK, /mcp/everything, bridged: version", lambda: expect("2026-07-28" in new["version"], new["version"]))
            for name, says in {"echo": "ü 1.10", "structured": "humidity", "prompt": "Paris", "bad arguments": "get-sum"}.items():
                run_check(f"Python SDK, /mcp/everything, bridged: {name}", lambda: expect(says in new[name], new[name][:300]))  # noqa: B023
            direct = StdioServerParameters(command=NODE, args=commands(PACKAGES, folder)["files"], env=environment)
            one = asyncio.run(files_tour(direct, folder))
            for way, url, prefix in [("/mcp/files", f"{base}/mcp/files", ""), ("files.tool on /mcp", f"{base}/mcp", "files.")]:
                other = asyncio.run(files_tour(streamable_http_client(url), folder, prefix))
                for name in one:
                    run_check(f"Python SDK, {way}: {name}", lambda: same(name, one, other))  # noqa: B023


def same(name, direct, behind):
    expect(direct[name] == behind[name], f"direct {direct[name][:300]}, behind haldir {behind[name][:300]}")


def main():
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    for era in ("legacy", "auto"):
        with tempfile.TemporaryDirectory() as scratch:
            direct = StdioServerParameters(command=NODE, args=[SCRIPT, "stdio"], env=environment)
            wrap = ["--db", f"{scratch}/h.db", "wrap", "--name", "everything", "--", NODE, SCRIPT, "stdio"]
            wrapped = StdioServerParameters(command=BINARY, args=wrap, env=environment)
            one = asyncio.run(tour(direct, era))
            other = asyncio.run(tour(wrapped, era))
        for name in one:
            run_check(f"Python SDK, {era}: {name}", lambda: same(name, one, other))  # noqa: B023
    over_http(environment)
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())

"""The Python SDK with haldir in front of a server that others wrote, and without: upstreams_sdk.py BINARY PACKAGES NODE

In both of the SDK's ways to begin: `legacy` shakes hands, `auto` asks for 2026-07-28 first. Results are compared as the
SDK gives them.
"""

import asyncio
import os
import re
import sys
import tempfile

from mcp import Client, StdioServerParameters

from checks import expect, run_check, summary

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
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())

"""The official Python client over stdio and streamable HTTP, in both eras of the protocol.

Started by server.py. `auto` probes server/discover and speaks 2026-07-28 without a handshake, `legacy` shakes hands
with initialize; each over stdio, over HTTP, and over stdio to a process that only passes calls on to the REST API of
the server (remote). Every check runs on each of them.
The client itself checks structuredContent against the outputSchema of every tool, but not when isError is true;
`call` does it for those, since the first TypeScript SDK does too and would throw.
"""

import asyncio
import json
import logging
import math
import os
import sys
import warnings

import anyio
import httpx2
import jsonschema
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from checks import REFUSALS, UNKNOWN_SESSION, expect, fits, good, placeholders, refused, report, summary
from python_checks import CHECKS

TIMEOUT = 10


class Connection:
    def __init__(self, client, era):
        self.client, self.era, self.schemas = client, era, {}

    async def call(self, name, /, **arguments):
        """A tool's answer under the wire's names, its structuredContent held against the outputSchema."""
        result = await self.client.call_tool(name, arguments)
        wire = {"isError": result.is_error, "content": [item.model_dump(by_alias=True) for item in result.content]}
        if "structured_content" in result.model_fields_set:
            wire["structuredContent"] = result.structured_content
            jsonschema.validate(result.structured_content, self.schemas[name])
        return wire

    async def session(self, **arguments):
        wanted = {"agent_id": "python", "scopes": ["read", "spend"], "ttl": 600, "spend_limit": 50} | arguments
        return good(await self.call("createSession", **wanted))["session_id"]

    async def prompt(self, name, /, **arguments):
        result = await self.client.get_prompt(name, arguments)
        expect(result.messages, "no message")
        return "\n".join(message.content.text for message in result.messages)

    async def read(self, uri):
        contents = (await self.client.read_resource(uri)).contents
        expect(len(contents) == 1, f"{len(contents)} contents")
        expect(str(contents[0].uri) == uri, f"the uri is {contents[0].uri}")
        expect(contents[0].mime_type == "application/json", f"the type is {contents[0].mime_type}")
        return json.loads(contents[0].text)


async def refusals(c, label):
    """Every bad input of refusals.json is refused, changes nothing, and the connection serves the next call."""
    names = {"$unknown": UNKNOWN_SESSION, "$huge": "x" * 1_000_000, "$nan": math.nan}
    names["$session"] = await c.session()
    names["$reader"] = await c.session(scopes=["read"], spend_limit=None)
    names["$revoked"] = await c.session()
    await c.call("revokeSession", session_id=names["$revoked"])
    await c.call("storeSecret", name="kept", value="v")
    await c.call("storeSecret", name="injected", value="injected-1", disclosure="inject")
    await c.call("storeSecret", name="guarded", value="v", scope_required="treasury")
    for tool, cases in REFUSALS.items():
        for case in cases:
            arguments = placeholders(case["with"], names)

            async def one(tool=tool, case=case, arguments=arguments):
                refused(await c.call(tool, **arguments), case.get("field"), case.get("says"))
                after = good(await c.call("getSession", session_id=names["$session"]))
                fits(after, session_id=names["$session"], is_valid=True, spent=0, remaining_budget=50)

            await attempt(f"{label}: {tool} refuses {case['what']}, and the next call works", one)


async def attempt(name, function):
    try:
        with anyio.fail_after(TIMEOUT):
            await function()
    except Exception as error:  # every way to go wrong is a failed check, and the next one still runs
        report(name, error)
    else:
        report(name)


async def connection(label, server, era):
    async with Client(server, mode=era, read_timeout_seconds=TIMEOUT) as client:
        c = Connection(client, era)
        c.schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        for function in CHECKS:
            await attempt(f"{label}: {function.__name__.replace('_', ' ')}", lambda f=function: f(c))
        await refusals(c, label)


async def over_stdio(label, era):
    store = os.path.join(os.environ["SCRATCH"], f"python-{era}.db")
    process = StdioServerParameters(command=os.environ["SERVER_BIN"], env={"HALDIR_DB": store})
    await connection(label, process, era)


async def over_remote(label, era):
    settings = {"HALDIR_BASE_URL": os.environ["SERVER_URL"], "HALDIR_API_KEY": os.environ["SERVER_KEY"]}
    await connection(label, StdioServerParameters(command=os.environ["SERVER_BIN"], env=settings), era)


async def over_http(label, era):
    key, url = os.environ["SERVER_KEY"], os.environ["SERVER_URL"] + "/mcp"
    headers = {"Authorization": f"Bearer {key}"} if era == "auto" else {"X-API-Key": key}
    async with httpx2.AsyncClient(headers=headers, timeout=TIMEOUT) as http:
        await connection(label, streamable_http_client(url, http_client=http), era)


def main():
    for transport, run in (("stdio", over_stdio), ("HTTP", over_http), ("remote", over_remote)):
        for era in ("auto", "legacy"):
            label = f"{transport} {era}"
            try:
                anyio.run(run, label, era)
            except (Exception, asyncio.CancelledError) as error:  # a torn connection cancels what waits on it
                report(f"{label}: the connection opens and closes in peace", error)
            else:
                report(f"{label}: the connection opens and closes in peace")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    main()
    sys.exit(summary())

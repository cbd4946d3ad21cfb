"""The Python SDK asks one server: matrix_python.py REQUEST (JSON, see matrix.py); answers as a JSON list on standard output.

Each answer has what came over the transport, its keys in their order, and what the SDK made of it.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import warnings

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

CALLS = {
    "tools/list": "list_tools", "prompts/list": "list_prompts", "resources/list": "list_resources",
    "resources/templates/list": "list_resource_templates", "resources/read": "read_resource",
    "tools/call": "call_tool", "prompts/get": "get_prompt", "completion/complete": "complete",
}


class Listening:
    """The stream of a transport; notes the answers on their way."""

    def __init__(self, stream, heard):
        self.stream, self.heard = stream, heard

    def __getattr__(self, name):
        return getattr(self.stream, name)

    async def receive(self):
        item = await self.stream.receive()
        message = getattr(item, "message", None)
        if isinstance(message, types.JSONRPCResponse):
            self.heard.append(message.result)
        elif isinstance(message, types.JSONRPCError):
            self.heard.append(message.error.model_dump(mode="json", exclude_unset=True))
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/progress":
            self.heard.append({name: value for name, value in message.params.items() if name != "progressToken"})
        return item

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self):
        await self.stream.__aenter__()
        return self

    async def __aexit__(self, *how):
        return await self.stream.__aexit__(*how)


@contextlib.asynccontextmanager
async def transport(server, heard):
    with open(os.devnull, "w") as nowhere:
        inner = streamable_http_client(server["url"]) if "url" in server else stdio_client(
            StdioServerParameters(command=server["command"], args=server["args"]), errlog=nowhere
        )
        async with inner as (reading, writing):
            yield Listening(reading, heard), writing


async def sampled(*_):
    return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="sampled"), model="m")


async def elicited(*_):
    return types.ElicitResult(action="decline")


async def nothing(*_):
    """Progress is heard on the transport, since what is on its way at the end of a call is let go of by an SDK."""


async def roots(*_):
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp", name="tmp")])


async def ask(client, heard, method, params):
    heard.clear()
    more = {"progress_callback": nothing} if method == "tools/call" else {}
    if "ref" in params:
        kind = types.PromptReference if params["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
        params = params | {"ref": kind(**params["ref"])}
    try:
        given = await getattr(client, CALLS[method])(**params, **more)
        given = given.model_dump(mode="json", by_alias=True, exclude_unset=True)
    except Exception as error:
        given = f"{type(error).__name__}: {error}"
    return {"received": list(heard), "given": given}


async def main(request):
    heard = []
    offered = {"sampling_callback": sampled, "elicitation_callback": elicited, "list_roots_callback": roots}
    server = transport(request["server"], heard)
    async with Client(
        server, mode=request["mode"], read_timeout_seconds=30, cache=None, **(offered if request["offers"] else {})
    ) as client:
        await asyncio.sleep(request["pause"])
        return [await ask(client, heard, method, params) for method, params in request["questions"]]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1]))), ensure_ascii=False))

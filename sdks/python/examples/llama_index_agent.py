"""A LlamaIndex agent that may look up prices, and may not send money."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI

from haldir_client import AsyncHaldir, TokenPrice, govern_async, verify_inclusion
from haldir_client.llama_index import finish, govern_tools

BOOKS = {"Momo": "12.99"}
PRICES = {"gpt-4o": TokenPrice(input="1.25", output="10")}


def look_up(title: str) -> str:
    """The price of a book."""
    return f"{title} is {BOOKS[title]} USD"


def send_money(amount: float) -> str:
    """Send money to the shop."""
    print("money was sent")
    return "sent"


async def main() -> None:
    tools = [FunctionTool.from_defaults(look_up), FunctionTool.from_defaults(send_money)]
    async with AsyncHaldir() as client:
        async with govern_async(client, agent_id="llama-index-buyer", scopes=["execute:look_up"], prices=PRICES) as run:
            agent = FunctionAgent(tools=govern_tools(run, tools), llm=OpenAI(model="gpt-4o"), streaming=False)
            print(await finish(run, agent.run("Buy Momo."), "gpt-4o"))
        print(sum(verify_inclusion(proof) for proof in await run.proofs()), "proofs hold")


asyncio.run(main())

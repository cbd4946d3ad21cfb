"""An AutoGen agent that may look up prices, and may not send money."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient

from haldir_client import AsyncHaldir, TokenPrice, govern_async, verify_inclusion
from haldir_client.autogen import GovernedModelClient, govern_tools

BOOKS = {"Momo": "12.99"}
PRICES = {"gpt-4o": TokenPrice(input="1.25", output="10")}


def look_up(title: str) -> str:
    return f"{title} is {BOOKS[title]} USD"


def send_money(amount: float) -> str:
    print("money was sent")
    return "sent"


async def main() -> None:
    tools = [FunctionTool(look_up, "The price of a book."), FunctionTool(send_money, "Send money to the shop.")]
    async with AsyncHaldir() as client:
        async with govern_async(client, agent_id="autogen-buyer", scopes=["execute:look_up"], prices=PRICES) as run:
            model = GovernedModelClient(run, OpenAIChatCompletionClient(model="gpt-4o"), "gpt-4o")
            agent = AssistantAgent("buyer", model, tools=govern_tools(run, tools), max_tool_iterations=5)
            result = await agent.run(task="Buy Momo.")
            print(result.messages[-1].to_text())
            await model.close()
        print(sum(verify_inclusion(proof) for proof in await run.proofs()), "proofs hold")


asyncio.run(main())

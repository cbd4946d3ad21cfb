"""An agent of the OpenAI Agents SDK that may look up prices, and may not send money."""

import asyncio

from agents import Agent, Runner, function_tool

from haldir_client import AsyncHaldir, TokenPrice, govern_async, verify_inclusion
from haldir_client.openai_agents import HaldirHooks, govern_tools

BOOKS = {"Momo": "12.99"}
PRICES = {"gpt-5": TokenPrice(input="1.25", output="10")}


@function_tool
def look_up(title: str) -> str:
    """The price of a book."""
    return f"{title} is {BOOKS[title]} USD"


@function_tool
def send_money(amount: float) -> str:
    """Send money to the shop."""
    print("money was sent")
    return "sent"


async def main() -> None:
    async with AsyncHaldir() as client:
        async with govern_async(client, agent_id="openai-agents-buyer", scopes=["execute:look_up"], prices=PRICES) as run:
            agent = Agent(name="buyer", model="gpt-5", tools=govern_tools(run, [look_up, send_money]))
            result = await Runner.run(agent, "Buy Momo.", hooks=HaldirHooks(run))
            print(result.final_output)
        print(sum(verify_inclusion(proof) for proof in await run.proofs()), "proofs hold")


asyncio.run(main())

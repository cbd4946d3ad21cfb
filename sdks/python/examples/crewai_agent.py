"""A crew that may look up prices, and may not send money."""

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from haldir_client import Haldir, TokenPrice, govern, verify_inclusion
from haldir_client.crewai import govern_tools, log_model_calls

BOOKS = {"Momo": "12.99"}
PRICES = {"gpt-4o": TokenPrice(input="1.25", output="10")}


@tool("look_up")
def look_up(title: str) -> str:
    """The price of a book."""
    return f"{title} is {BOOKS[title]} USD"


@tool("send_money")
def send_money(amount: float) -> str:
    """Send money to the shop."""
    print("money was sent")
    return "sent"


llm = LLM(model="openai/gpt-4o")
with Haldir() as client:
    with govern(client, agent_id="crewai-buyer", scopes=["execute:look_up"], prices=PRICES) as run, log_model_calls(run, llm):
        tools = govern_tools(run, [look_up, send_money])
        buyer = Agent(role="buyer", goal="buy", backstory="a careful buyer", llm=llm, tools=tools)
        task = Task(description="Buy Momo.", expected_output="what was bought", agent=buyer)
        print(Crew(agents=[buyer], tasks=[task]).kickoff())
    print(sum(verify_inclusion(proof) for proof in run.proofs()), "proofs hold")

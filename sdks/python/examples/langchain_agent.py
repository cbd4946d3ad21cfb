"""A LangChain agent that may look up prices, and may not send money."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from haldir_client import Haldir, TokenPrice, govern, verify_inclusion
from haldir_client.langchain import HaldirMiddleware

BOOKS = {"Momo": "12.99"}
PRICES = {"gpt-5": TokenPrice(input="1.25", output="10")}


def look_up(title: str) -> str:
    """The price of a book."""
    return f"{title} is {BOOKS[title]} USD"


def send_money(amount: float) -> str:
    """Send money to the shop."""
    print("money was sent")
    return "sent"


with Haldir() as client:
    with govern(client, agent_id="langchain-buyer", scopes=["execute:look_up"], prices=PRICES) as run:
        agent = create_agent(ChatOpenAI(model="gpt-5"), [look_up, send_money], middleware=[HaldirMiddleware(run)])
        result = agent.invoke({"messages": [("user", "Buy Momo.")]})
        print(result["messages"][-1].content)
    print(sum(verify_inclusion(proof) for proof in run.proofs()), "proofs hold")

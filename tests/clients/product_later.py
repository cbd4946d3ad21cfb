"""Checks of the product's package that haldir does not pass yet, and what they wait for. One that passes is a failure:
it must leave this list."""

PROXY = "the proxy"
COMPLIANCE = "evidence and schedules"

LATER = {
    "commands: evidence is a document with a digest": COMPLIANCE,
    "commands: schedules are made listed and deleted": COMPLIANCE,
    "commands: the tools of an upstream are listed and called": PROXY,
    "commands: policies of every type are taken and no other": PROXY,
    "commands: register reaches the server that it names": PROXY,
    "commands: every command was called": "all of these",
    "mcp serve: it fetches score and evidence": COMPLIANCE,
    "mcp serve: every tool was called": "all of these",
}

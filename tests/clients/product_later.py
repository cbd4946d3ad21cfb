"""Checks of the product's package that haldir does not pass yet, and what they wait for. One that passes is a failure:
it must leave this list."""

PROXY = "the proxy"

LATER = {
    "commands: the tools of an upstream are listed and called": PROXY,
    "commands: policies of every type are taken and no other": PROXY,
    "commands: register reaches the server that it names": PROXY,
    "commands: every command was called": "all of these",
    "mcp serve: every tool was called": "all of these",
}

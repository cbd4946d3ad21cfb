"""Checks of the product's package that haldir does not pass yet, and what they wait for. One that passes is a failure:
it must leave this list."""

PROOFS = "signed tree heads and proofs"
PROXY = "the proxy"

LATER = {
    "sync: the tree head is signed": PROOFS,
    "sync: an inclusion proof verifies offline": PROOFS,
    "sync: a consistency proof verifies offline": PROOFS,
    "async: the tree head is signed": PROOFS,
    "async: an inclusion proof verifies offline": PROOFS,
    "async: a consistency proof verifies offline": PROOFS,
    "commands: proofs are fetched and verified offline": PROOFS,
    "commands: the tools of an upstream are listed and called": PROXY,
    "commands: policies of every type are taken and no other": PROXY,
    "commands: register reaches the server that it names": PROXY,
    "commands: every command was called": "all of these",
    "mcp serve: it logs finds and proves": PROOFS,
    "mcp serve: every tool was called": "all of these",
}

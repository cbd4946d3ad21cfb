"""Checks of the product's package that haldir does not pass yet, and what they wait for. One that passes is a failure:
it must leave this list."""

PROOFS = "signed tree heads and proofs"
COMPLIANCE = "evidence and schedules"
FIGURES = "usage, metrics, status and overview"

LATER = {
    "sync: the tree head is signed": PROOFS,
    "sync: an inclusion proof verifies offline": PROOFS,
    "sync: a consistency proof verifies offline": PROOFS,
    "async: the tree head is signed": PROOFS,
    "async: an inclusion proof verifies offline": PROOFS,
    "async: a consistency proof verifies offline": PROOFS,
    "commands: proofs are fetched and verified offline": PROOFS,
    "commands: evidence is a document with a digest": COMPLIANCE,
    "commands: schedules are made listed and deleted": COMPLIANCE,
    "commands: login keeps the key and the address": FIGURES,
    "commands: status shows components and latency": FIGURES,
    "commands: the overview agrees with what was done": FIGURES,
    "commands: metrics are a table": FIGURES,
    "commands: every command was called": "all of these",
    "mcp serve: it logs finds and proves": PROOFS,
    "mcp serve: it fetches score and evidence": COMPLIANCE,
    "mcp serve: every tool was called": "all of these",
}

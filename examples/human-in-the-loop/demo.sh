#!/bin/sh
# A call waits, a person decides in a terminal, and the repeated call is made once. Needs haldir and haldir-mcp in PATH.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'exec 3>&- 4<&-; wait; rm -rf "$work"' EXIT
export HALDIR_DB="$work/haldir.db"

step() { printf '\n== %s\n' "$1"; }
# The request that an answer says to wait for; its JSON stands in a text, so its quotes have backslashes.
request() { printf '%s' "$answer" | sed -n 's/.*request_id\\":\\"\([^\\]*\)\\".*/\1/p'; }

step "The operator's rule: notes are deleted only after an operator has approved it"
haldir keys create --name operator >/dev/null 2>&1
haldir call add-approval-rule --type tool_blocked --tools notes.delete_note --operator-only true

# The agent's client starts the server behind haldir, as a config of Claude or Cursor would.
mkfifo "$work/in" "$work/out"
haldir-mcp wrap --name notes --agent demo -- sh "$here/notes-server.sh" <"$work/in" >"$work/out" &
exec 3>"$work/in" 4<"$work/out"
send() { printf '%s\n' "$1" >&3; }
ask() {
  send "{\"jsonrpc\":\"2.0\",\"id\":$1,\"method\":\"tools/call\",\"params\":{\"name\":\"$2\",\"arguments\":$3}}"
  IFS= read -r answer <&4
  printf 'agent calls %s %s\n  is told %s\n' "$2" "$3" "$answer"
}
send '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}'
IFS= read -r answer <&4
send '{"jsonrpc":"2.0","method":"notifications/initialized"}'

step "The agent deletes a note: the call waits"
ask 1 list_notes '{}'
ask 2 delete_note '{"name":"minutes"}'
id=$(request)

step "A person looks at it, and approves it"
haldir approvals list
haldir approvals show "$id"
haldir approvals approve "$id" --by ann --note "they are in the wiki"

step "The agent repeats the same call: it is made, once"
ask 3 delete_note '{"name":"minutes"}'
ask 4 delete_note '{"name":"minutes"}'

step "Another call: the person lets it delete something else than was asked for"
ask 5 delete_note '{"name":"thesis"}'
haldir approvals approve "$(request)" --by ann --arguments '{"name": "draft"}'
ask 6 delete_note '{"name":"thesis"}'
ask 7 list_notes '{}'

step "What the log says of it"
haldir call get-audit-trail --limit 100 --json | tr '{' '\n' | sed -n 's/.*"action":"\(approval[^"]*\|proxyCall[^"]*\)".*/\1/p'

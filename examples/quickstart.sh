#!/usr/bin/env bash
# A tour of haldir over REST, with curl alone. In another terminal: cargo run --release -- serve
#
#   examples/quickstart.sh                       a new store: the script makes the first key
#   HALDIR_API_KEY=hld_… examples/quickstart.sh  with an operator's key of a store that has one
#
# HALDIR is the address of the server; the default is where `serve` listens.
set -euo pipefail

HALDIR=${HALDIR:-http://127.0.0.1:8000}

# The value of a text field in compact JSON.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# call METHOD PATH [BODY], with the key in $key.
call() {
  curl --silent --show-error --fail-with-body --request "$1" "$HALDIR$2" \
    --header "Authorization: Bearer $key" ${3:+--header "Content-Type: application/json" --data "$3"}
  echo
}

step() { printf '\n== %s\n' "$1"; }

if [ -n "${HALDIR_API_KEY:-}" ]; then
  key=$HALDIR_API_KEY
else
  step "The first key of a new store is an operator's"
  key=$(curl --silent --show-error --fail-with-body "$HALDIR/v1/keys" --header "Content-Type: application/json" \
    --data '{"name": "operator", "tier": "pro"}' | field key)
  echo "made ${key:0:12}…"
fi

step "A key for an agent: no session made with it may spend more than 50 USD or live longer than a day"
key=$(call POST /v1/keys '{"name": "quickstart agent", "tier": "pro", "max_spend": 50, "max_ttl": 86400}' | field key)
echo "made ${key:0:12}…"

step "A session: what the agent may do, spend, and for how long"
session=$(call POST /v1/sessions '{"agent_id": "quickstart", "scopes": ["read", "spend:20"], "ttl": 600}' |
  field session_id)
call GET "/v1/sessions/$session"

step "May it write? It may not"
call POST "/v1/sessions/$session/check" '{"scope": "write"}'

step "A payment within the budget"
call POST /v1/payments/authorize "{\"session_id\": \"$session\", \"amount\": 12.50, \"description\": \"books\"}"

step "A payment beyond it: refused"
call POST /v1/payments/authorize "{\"session_id\": \"$session\", \"amount\": 12.50, \"description\": \"more books\"}" || true

step "A secret, sealed at rest, read within the session"
call POST /v1/secrets '{"name": "quickstart-token", "value": "not-a-real-token"}'
curl --silent --show-error --fail-with-body "$HALDIR/v1/secrets/quickstart-token" \
  --header "Authorization: Bearer $key" --header "X-Session-ID: $session"
echo

step "What the agent did, logged"
call POST /v1/audit "{\"session_id\": \"$session\", \"tool\": \"shop\", \"action\": \"order\", \"cost_usd\": 12.50}"

step "The log of this session, newest first"
call GET "/v1/audit?session_id=$session&limit=10"

step "The whole log, verified"
call GET /v1/audit/verify

step "The session ends"
call DELETE "/v1/sessions/$session"

#!/bin/sh
# A small MCP server: three notes in a folder that is made at the start. It knows as much of the protocol as the demo
# needs, and takes its arguments from JSON that haldir has checked; a real server has a JSON parser.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
touch "$folder/draft" "$folder/minutes" "$folder/thesis"

name='"inputSchema":{"type":"object","required":["name"],"additionalProperties":false,"properties":{"name":{"type":"string"}}}'
tools='{"name":"list_notes","description":"Names the notes","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},
  {"name":"delete_note","description":"Deletes a note",'$name',"annotations":{"destructiveHint":true}}'

answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$1" "$(printf '%s' "$2" | tr -d '\n')"; }
say() { answer "$1" '{"content":[{"type":"text","text":"'"$2"'"}]}'; }

while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
  case $line in
    *'"method":"initialize"'*)
      answer "$id" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"notes","version":"1"}}' ;;
    *'"method":"tools/list"'*) answer "$id" "{\"tools\":[$tools]}" ;;
    *'"name":"list_notes"'*) say "$id" "$(ls "$folder" | tr '\n' ' ')" ;;
    *'"name":"delete_note"'*)
      note=$(printf '%s' "$line" | sed -n 's/.*"arguments":{"name":"\([a-z]*\)"}.*/\1/p')
      if [ -n "$note" ] && rm "$folder/$note" 2>/dev/null; then say "$id" "deleted $note"; else say "$id" "no such note"; fi ;;
    *'"method":"notifications/'*) ;;
    *) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}\n' "${id:-null}" ;;
  esac
done

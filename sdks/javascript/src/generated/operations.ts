// Written by sdks/javascript/generate from the server's OpenAPI document. Do not edit.
import type { Method, Operation } from "../operation.js";

/** How each operation is called. */
export const OPERATIONS = {
  createSession: {"method":"POST","path":"/v1/sessions","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"spend_limit":true,"daily_spend_limit":true},"received":{"spend_limit":true,"daily_spend_limit":true}},
  listSessions: {"method":"GET","path":"/v1/sessions","query":["agent_id","id_prefix","limit","cursor"],"answer":"json","received":{"sessions":{"*":{"spend_limit":true,"daily_spend_limit":true,"spent":true,"remaining_budget":true,"logged_cost_usd":true}}}},
  getSession: {"method":"GET","path":"/v1/sessions/{session_id}","query":[],"answer":"json","received":{"spend_limit":true,"daily_spend_limit":true,"spent":true,"remaining_budget":true,"logged_cost_usd":true}},
  revokeSession: {"method":"DELETE","path":"/v1/sessions/{session_id}","query":["cascade"],"answer":"json"},
  checkPermission: {"method":"POST","path":"/v1/sessions/{session_id}/check","query":[],"body":true,"answer":"json"},
  stopAgent: {"method":"POST","path":"/v1/agents/{agent_id}/stop","query":[],"body":true,"idempotent":true,"answer":"json"},
  listDescendants: {"method":"GET","path":"/v1/sessions/{session_id}/descendants","query":[],"answer":"json","received":{"descendants":{"*":{"spend_limit":true,"daily_spend_limit":true,"spent":true,"remaining_budget":true,"logged_cost_usd":true}}}},
  storeSecret: {"method":"POST","path":"/v1/secrets","query":[],"body":true,"idempotent":true,"answer":"json"},
  listSecrets: {"method":"GET","path":"/v1/secrets","query":["limit","cursor"],"answer":"json"},
  getSecret: {"method":"GET","path":"/v1/secrets/{name}","query":["session_id"],"answer":"json"},
  deleteSecret: {"method":"DELETE","path":"/v1/secrets/{name}","query":["session_id"],"answer":"json"},
  authorizePayment: {"method":"POST","path":"/v1/payments/authorize","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"amount":true},"received":{"amount":true,"remaining_budget":true}},
  listPayments: {"method":"GET","path":"/v1/payments","query":["agent_id","session_id","open","since","until","limit","cursor"],"answer":"json","received":{"payments":{"*":{"amount":true,"captured":true}}}},
  capturePayment: {"method":"POST","path":"/v1/payments/{authorization_id}/capture","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"amount":true},"received":{"amount":true,"captured":true,"returned":true}},
  voidPayment: {"method":"POST","path":"/v1/payments/{authorization_id}/void","query":[],"body":true,"idempotent":true,"answer":"json","received":{"amount":true,"captured":true,"returned":true}},
  logAction: {"method":"POST","path":"/v1/audit","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"cost_usd":true},"received":{"cost_usd":true}},
  getAuditTrail: {"method":"GET","path":"/v1/audit","query":["session_id","agent_id","tool","flagged","since","until","limit","cursor"],"answer":"json","received":{"entries":{"*":{"cost_usd":true}}}},
  getSpend: {"method":"GET","path":"/v1/audit/spend","query":["session_id","agent_id","since","until"],"answer":"json","received":{"total_usd":true,"by_tool":{"*":true},"by_session":{"*":true},"by_agent":{"*":true},"authorized_usd":true}},
  getAuditEntry: {"method":"GET","path":"/v1/audit/entries/{entry_id}","query":[],"answer":"json","received":{"cost_usd":true}},
  getTreeHead: {"method":"GET","path":"/v1/audit/tree-head","query":[],"answer":"json"},
  getInclusionProof: {"method":"GET","path":"/v1/audit/inclusion-proof/{entry_id}","query":[],"answer":"json"},
  getConsistencyProof: {"method":"GET","path":"/v1/audit/consistency-proof","query":["first","second"],"answer":"json"},
  listTreeHeads: {"method":"GET","path":"/v1/audit/sth-log","query":["limit","before"],"answer":"json"},
  verifyTreeHeads: {"method":"GET","path":"/v1/audit/sth-log/verify","query":[],"answer":"json"},
  listLogKeys: {"method":"GET","path":"/v1/audit/keys","query":[],"answer":"json"},
  exportBundle: {"method":"GET","path":"/v1/audit/bundle","query":[],"answer":"response"},
  getCheckpoint: {"method":"GET","path":"/v1/audit/checkpoint","query":[],"answer":"response"},
  getTile: {"method":"GET","path":"/v1/audit/tile/{tile}","query":[],"answer":"response"},
  verifyAuditTrail: {"method":"GET","path":"/v1/audit/verify","query":[],"answer":"json"},
  addApprovalRule: {"method":"POST","path":"/v1/approvals/rules","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"threshold":true}},
  listApprovalRules: {"method":"GET","path":"/v1/approvals/rules","query":[],"answer":"json","received":{"rules":{"*":{"threshold":true}}}},
  deleteApprovalRule: {"method":"DELETE","path":"/v1/approvals/rules/{rule_id}","query":[],"answer":"json"},
  requestApproval: {"method":"POST","path":"/v1/approvals/request","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"amount":true}},
  listPendingApprovals: {"method":"GET","path":"/v1/approvals/pending","query":["agent_id","limit","cursor"],"answer":"json","received":{"requests":{"*":{"amount":true}}}},
  listDecidedApprovals: {"method":"GET","path":"/v1/approvals/decided","query":["agent_id","limit","cursor"],"answer":"json","received":{"requests":{"*":{"amount":true}}}},
  getApproval: {"method":"GET","path":"/v1/approvals/{request_id}","query":["wait"],"answer":"json","received":{"amount":true,"last_approved":{"amount":true}}},
  approveRequest: {"method":"POST","path":"/v1/approvals/{request_id}/approve","query":[],"body":true,"idempotent":true,"answer":"json"},
  denyRequest: {"method":"POST","path":"/v1/approvals/{request_id}/deny","query":[],"body":true,"idempotent":true,"answer":"json"},
  getAuditStats: {"method":"GET","path":"/v1/audit/stats","query":["session_id","agent_id","since","until"],"answer":"json","received":{"total_usd":true,"actions_cost_usd":true,"spend_usd_this_month":true}},
  exportAudit: {"method":"GET","path":"/v1/audit/export","query":["format","session_id","agent_id","tool","since","until","flagged","manifest"],"answer":"response"},
  getExportManifest: {"method":"GET","path":"/v1/audit/export/manifest","query":["session_id","agent_id","tool","since","until","flagged"],"answer":"json"},
  getAuditRetention: {"method":"GET","path":"/v1/audit/retention","query":[],"answer":"json"},
  setAuditRetention: {"method":"PUT","path":"/v1/audit/retention","query":[],"body":true,"answer":"json"},
  pruneAuditDetails: {"method":"POST","path":"/v1/audit/retention/prune","query":[],"body":true,"idempotent":true,"answer":"json"},
  listRetentionCheckpoints: {"method":"GET","path":"/v1/audit/retention/checkpoints","query":["limit"],"answer":"json"},
  eraseAgent: {"method":"POST","path":"/v1/agents/{agent_id}/erase","query":[],"body":true,"idempotent":true,"answer":"json"},
  eraseSession: {"method":"POST","path":"/v1/sessions/{session_id}/erase","query":[],"body":true,"idempotent":true,"answer":"json"},
  listErasures: {"method":"GET","path":"/v1/erasures","query":["limit"],"answer":"json"},
  registerUpstream: {"method":"POST","path":"/v1/proxy/upstreams","query":[],"body":true,"idempotent":true,"answer":"json"},
  listUpstreams: {"method":"GET","path":"/v1/proxy/upstreams","query":[],"answer":"json"},
  deleteUpstream: {"method":"DELETE","path":"/v1/proxy/upstreams/{name}","query":[],"answer":"json"},
  acceptTools: {"method":"POST","path":"/v1/proxy/upstreams/{name}/accept","query":[],"body":true,"idempotent":true,"answer":"json"},
  markTool: {"method":"PUT","path":"/v1/proxy/upstreams/{name}/marks","query":[],"body":true,"answer":"json","sent":{"cost":true,"cost_max":true},"received":{"marks":{"cost":true,"cost_max":true}}},
  listProxyTools: {"method":"GET","path":"/v1/proxy/tools","query":["upstream","state","callable","session_id"],"answer":"json","received":{"tools":{"*":{"marks":{"cost":true,"cost_max":true}}}}},
  proxyCall: {"method":"POST","path":"/v1/proxy/call","query":[],"body":true,"idempotent":true,"answer":"json"},
  addProxyPolicy: {"method":"POST","path":"/v1/proxy/policies","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"max":true}},
  listProxyPolicies: {"method":"GET","path":"/v1/proxy/policies","query":[],"answer":"json","received":{"policies":{"*":{"max":true}}}},
  testProxyPolicy: {"method":"POST","path":"/v1/proxy/policies/test","query":[],"body":true,"answer":"json","sent":{"max":true}},
  deleteProxyPolicy: {"method":"DELETE","path":"/v1/proxy/policies/{policy_id}","query":[],"answer":"json"},
  getUsage: {"method":"GET","path":"/v1/usage","query":["month"],"answer":"json"},
  getMetrics: {"method":"GET","path":"/v1/metrics","query":[],"answer":"json","received":{"total_spend_usd":true,"total_payment_volume_usd":true}},
  getOverview: {"method":"GET","path":"/v1/admin/overview","query":[],"answer":"json","received":{"usage":{"spend_usd_this_month":true,"overage_usd":true},"sessions":{"sessions":{"*":{"spent":true,"spend_limit":true}}},"audit":{"recent":{"*":{"cost_usd":true}}}}},
  createApiKey: {"method":"POST","path":"/v1/keys","query":[],"body":true,"idempotent":true,"answer":"json","sent":{"max_spend":true,"max_daily_spend":true}},
  listApiKeys: {"method":"GET","path":"/v1/keys","query":["limit","cursor"],"answer":"json","received":{"keys":{"*":{"max_spend":true,"max_daily_spend":true}}}},
  rotateApiKey: {"method":"POST","path":"/v1/keys/{prefix}/rotate","query":[],"body":true,"idempotent":true,"answer":"json"},
  setApiKeyTier: {"method":"PUT","path":"/v1/keys/{prefix}/tier","query":[],"body":true,"answer":"json"},
  revokeApiKey: {"method":"DELETE","path":"/v1/keys/{prefix}","query":[],"answer":"json"},
  listTenants: {"method":"POST","path":"/v1/tenants/list","query":[],"body":true,"answer":"json"},
  nameTenant: {"method":"PUT","path":"/v1/tenants/{tenant_id}/name","query":[],"body":true,"answer":"json"},
  registerWebhook: {"method":"POST","path":"/v1/webhooks","query":[],"body":true,"idempotent":true,"answer":"json"},
  listWebhooks: {"method":"GET","path":"/v1/webhooks","query":[],"answer":"json"},
  listDeliveries: {"method":"GET","path":"/v1/webhooks/deliveries","query":["event_id","before","limit"],"answer":"json"},
  listDeadLetters: {"method":"GET","path":"/v1/webhooks/dead-letters","query":["webhook_id","limit"],"answer":"json"},
  deleteWebhook: {"method":"DELETE","path":"/v1/webhooks/{webhook_id}","query":[],"answer":"json"},
  rotateWebhookSecret: {"method":"POST","path":"/v1/webhooks/{webhook_id}/rotate-secret","query":[],"body":true,"idempotent":true,"answer":"json"},
  pingWebhook: {"method":"POST","path":"/v1/webhooks/{webhook_id}/ping","query":[],"body":true,"idempotent":true,"answer":"json"},
  resendDeadLetters: {"method":"POST","path":"/v1/webhooks/{webhook_id}/resend","query":[],"body":true,"idempotent":true,"answer":"json"},
  getEvidence: {"method":"GET","path":"/v1/compliance/evidence","query":["since","until","format"],"answer":"response"},
  getEvidenceManifest: {"method":"GET","path":"/v1/compliance/evidence/manifest","query":["since","until"],"answer":"json"},
  getComplianceScore: {"method":"GET","path":"/v1/compliance/score","query":[],"answer":"json"},
  createComplianceSchedule: {"method":"POST","path":"/v1/compliance/schedules","query":[],"body":true,"idempotent":true,"answer":"json"},
  listComplianceSchedules: {"method":"GET","path":"/v1/compliance/schedules","query":[],"answer":"json"},
  deleteComplianceSchedule: {"method":"DELETE","path":"/v1/compliance/schedules/{schedule_id}","query":[],"answer":"nothing"},
  healthCheck: {"method":"GET","path":"/healthz","query":[],"answer":"json"},
  livenessCheck: {"method":"GET","path":"/livez","query":[],"answer":"json"},
  readinessCheck: {"method":"GET","path":"/readyz","query":[],"answer":"json"},
  apiIndex: {"method":"GET","path":"/v1","query":[],"answer":"json"},
  getStatus: {"method":"GET","path":"/v1/status","query":[],"answer":"json"},
} as const satisfies Record<string, Operation>;

/** A method for each operation. */
export interface Methods {
  /**
   * Start a governed session for an agent: the scopes it may use, how much it may spend, and for how long. Call this first; everything else an agent does through haldir names the session. Give the fewest scopes and the smallest budget that the task needs. With `parent_session_id` the new session is delegated: its scopes, budget and expiry lie within the parent's, what it spends counts against the parent, and it ends with the parent.
   *
   * Needs the key scope `sessions:write`.
   */
  createSession: Method<"createSession">;
  /**
   * List sessions, newest first.
   *
   * Needs the key scope `sessions:read`.
   */
  listSessions: Method<"listSessions">;
  /**
   * Look at a session: scopes, budget, what is spent and left, when it expires, and whether it is still valid. A revoked or expired session can still be looked at; `is_valid` is false then, for good.
   *
   * Needs the key scope `sessions:read`.
   */
  getSession: Method<"getSession">;
  /**
   * End a session now and for good: it can no longer act, spend or read secrets, and neither can any session that it delegated to. Call this when a task is done, or when something looks wrong. Revoking twice is no error.
   *
   * Needs the key scope `sessions:write`.
   */
  revokeSession: Method<"revokeSession">;
  /**
   * Check whether a session may do something, before doing it. `allowed` is true only if the session is valid and holds the scope; for an unknown, expired or revoked session it is false. The check changes nothing.
   *
   * Needs the key scope `sessions:read`.
   */
  checkPermission: Method<"checkPermission">;
  /**
   * Stop an agent: end all of its sessions now and for good, and those that they delegated to. With `revoke_keys` the agent keys that made them are revoked as well; otherwise the agent can make a new session with the same key.
   *
   * Needs the key scope `sessions:write` and an operator's key.
   */
  stopAgent: Method<"stopAgent">;
  /**
   * List the sessions that a session has delegated to, and those below them.
   *
   * Needs the key scope `sessions:read`.
   */
  listDescendants: Method<"listDescendants">;
  /**
   * Put a credential into the vault, encrypted at rest, so that it need not be in a prompt, a file or the environment. Storing an existing name makes a new version and deletes the old value. With disclosure `inject` the value is never returned: only the proxy puts it into calls.
   *
   * Needs the key scope `vault:write`.
   */
  storeSecret: Method<"storeSecret">;
  /**
   * List the names of the secrets in the vault, never their values.
   *
   * Needs the key scope `vault:read`.
   */
  listSecrets: Method<"listSecrets">;
  /**
   * Read a secret from the vault for a session that holds the scope it requires. Read it only when it is about to be used, and do not repeat its value: every read is logged by name. A secret with disclosure `inject` is never returned.
   *
   * Needs the key scope `vault:read`.
   */
  getSecret: Method<"getSecret">;
  /**
   * Delete a secret from the vault, for good.
   *
   * Needs the key scope `vault:write`.
   */
  deleteSecret: Method<"deleteSecret">;
  /**
   * Ask for permission to pay, before paying. The session must hold the scope spend, and the amount must fit what is left of its budget and of every session above it; it is deducted at once. If authorized is false, do not pay: the reason says why. If status is `approval_required`, a person has to approve it first: repeat the same call later.
   *
   * Needs the key scope `payments:write`.
   */
  authorizePayment: Method<"authorizePayment">;
  /**
   * List payments that were authorized, newest first.
   *
   * Needs the key scope `payments:read`.
   */
  listPayments: Method<"listPayments">;
  /**
   * Settle an authorized payment at the amount that was paid, at most the authorized amount; the rest returns to the budget. Only an operator can: an agent could refill its own budget with it.
   *
   * Needs the key scope `payments:write` and an operator's key.
   */
  capturePayment: Method<"capturePayment">;
  /**
   * Cancel an authorized payment that was not made; all of it returns to the budget. Only an operator can.
   *
   * Needs the key scope `payments:write` and an operator's key.
   */
  voidPayment: Method<"voidPayment">;
  /**
   * Record what an agent did, in a log that cannot be rewritten: every tool call, request, decision or purchase, right after it happened. The answer says whether it looks anomalous, and why. Do not put secrets into it.
   *
   * Needs the key scope `audit:write`.
   */
  logAction: Method<"logAction">;
  /**
   * Read the audit log, newest first: what agents did, and what haldir decided about them. Filter by session, agent, tool, time, or only what was flagged as anomalous.
   *
   * Needs the key scope `audit:read`.
   */
  getAuditTrail: Method<"getAuditTrail">;
  /**
   * Sum up what agents have logged as cost and what payments were authorized, by tool, session and agent; of one session, one agent, or all; of all time, or of a span of it.
   *
   * Needs the key scope `audit:read`.
   */
  getSpend: Method<"getSpend">;
  /**
   * Read one entry of the audit log.
   *
   * Needs the key scope `audit:read`.
   */
  getAuditEntry: Method<"getAuditEntry">;
  /**
   * Read the signed head of the audit log: how many entries it has, and the Merkle root over all of them. Whoever keeps it can prove later whether anything before it was changed.
   *
   * Needs the key scope `audit:read`.
   */
  getTreeHead: Method<"getTreeHead">;
  /**
   * Prove that an entry is in the audit log: with the entry's canonical bytes, the path and the signed head, anybody can check it without this server.
   *
   * Needs the key scope `audit:read`.
   */
  getInclusionProof: Method<"getInclusionProof">;
  /**
   * Prove that the audit log at one size begins with the log at an earlier size: that nothing was changed, removed or put in between.
   *
   * Needs the key scope `audit:read`.
   */
  getConsistencyProof: Method<"getConsistencyProof">;
  /**
   * List the heads of the audit log that were signed and recorded, the largest first. A server records one every five minutes while the log grows.
   *
   * Needs the key scope `audit:read`.
   */
  listTreeHeads: Method<"listTreeHeads">;
  /**
   * Check every recorded head of the audit log: its signature, that a published key made it, and that the log of today begins with the log of then.
   *
   * Needs the key scope `audit:read`.
   */
  verifyTreeHeads: Method<"verifyTreeHeads">;
  /**
   * List the public keys that the heads of this log were signed with, the newest first, and the log's name in checkpoints. Keep them elsewhere: a signature proves something only to who knows the key.
   *
   * Needs the key scope `audit:read`.
   */
  listLogKeys: Method<"listLogKeys">;
  /**
   * Export the whole audit log as a bundle that anybody can check without this server: every entry's canonical bytes and details, the recorded heads, a checkpoint and the public keys. `haldir audit verify FILE` checks it.
   *
   * Needs the key scope `audit:read`.
   */
  exportBundle: Method<"exportBundle">;
  /**
   * Read the head of the audit log as a checkpoint of the transparency-log world: a signed note with the log's name, its size and its root (C2SP tlog-checkpoint). While a signing key is being replaced, both keys sign it.
   *
   * Needs the key scope `audit:read`.
   */
  getCheckpoint: Method<"getCheckpoint">;
  /**
   * Read a tile of the log's Merkle tree, or a bundle of its entries' canonical bytes, at the paths of C2SP tlog-tiles: `<level>/<index>` or `entries/<index>`, with `.p/<width>` behind it for one that is not full. An entry that was erased is empty in a bundle; its hash in the tile stays.
   *
   * Needs the key scope `audit:read`.
   */
  getTile: Method<"getTile">;
  /**
   * Check the whole audit log: every field of every entry against its hash, every link to the entry before, the Merkle tree, and the authenticated head. Says what it covered, and at a break names the first bad entry.
   *
   * Needs the key scope `audit:read`.
   */
  verifyAuditTrail: Method<"verifyAuditTrail">;
  /**
   * Say what needs an operator's approval from now on: payments over a threshold, calls of certain tools, calls that destroy something, or everything. authorizePayment is held to it at once.
   *
   * Needs the key scope `approvals:write` and an operator's key.
   */
  addApprovalRule: Method<"addApprovalRule">;
  /**
   * List the rules that say what needs an approval, oldest first.
   *
   * Needs the key scope `approvals:read` and an operator's key.
   */
  listApprovalRules: Method<"listApprovalRules">;
  /**
   * Delete an approval rule: from the next call on it asks nothing. Requests that it caused stay as they are.
   *
   * Needs the key scope `approvals:write` and an operator's key.
   */
  deleteApprovalRule: Method<"deleteApprovalRule">;
  /**
   * Request an operator's approval. Read the decision with getApproval; it is bound to exactly the action of this request, and serves once. To request a payment ahead of authorizePayment, give the tool `authorizePayment`, the payment's description as action, and its amount.
   *
   * Needs the key scope `approvals:write`.
   */
  requestApproval: Method<"requestApproval">;
  /**
   * List the approval requests that wait for a decision, newest first, without expired ones.
   *
   * Needs the key scope `approvals:read`.
   */
  listPendingApprovals: Method<"listPendingApprovals">;
  /**
   * List the approval requests that were approved or denied, the newest decision first.
   *
   * Needs the key scope `approvals:read`.
   */
  listDecidedApprovals: Method<"listDecidedApprovals">;
  /**
   * Look at an approval request. With wait, the answer is held back until the request is decided or has expired, or that many seconds have passed, so that no client has to poll.
   *
   * Needs the key scope `approvals:read`.
   */
  getApproval: Method<"getApproval">;
  /**
   * Approve a request of an agent. The decision is final: a second one is refused. The approval serves once, for exactly the requested action, until the request ends and for at least ten minutes. With `arguments`, a call of an upstream's tool is made with those instead, when the agent repeats the call that it requested.
   *
   * Needs the key scope `approvals:write` and an operator's key.
   */
  approveRequest: Method<"approveRequest">;
  /**
   * Deny a request of an agent. The decision is final: a second one is refused. The same call stays refused until the request would have ended.
   *
   * Needs the key scope `approvals:write` and an operator's key.
   */
  denyRequest: Method<"denyRequest">;
  /**
   * Count what is in the audit log, by tool and by action, in any span of time; in constant time, however long the log is.
   *
   * Needs the key scope `audit:read`.
   */
  getAuditStats: Method<"getAuditStats">;
  /**
   * Export the audit log, oldest entry first, as JSONL or CSV. JSONL ends with a manifest line unless manifest is false; that of any other export comes from /v1/audit/export/manifest. In CSV, text that a spreadsheet would take for a formula is preceded by an apostrophe; JSONL has it as it was logged.
   *
   * Needs the key scope `audit:read`.
   */
  exportAudit: Method<"exportAudit">;
  /**
   * Read the manifest of an export with the same filters: how many entries, from when to when, and a digest of their ids. It reads all of them, as the export does.
   *
   * Needs the key scope `audit:read`.
   */
  getExportManifest: Method<"getExportManifest">;
  /**
   * Read how long the details of audit entries are kept, and what would be erased now. The entries themselves, with the digests of their details, stay for ever.
   *
   * Needs the key scope `audit:read`.
   */
  getAuditRetention: Method<"getAuditRetention">;
  /**
   * Set how long the details of audit entries are kept. Older ones are erased within a day, for good; the entries themselves stay, and every proof about them holds.
   *
   * Needs the key scope `audit:write` and an operator's key.
   */
  setAuditRetention: Method<"setAuditRetention">;
  /**
   * Erase the details that are due now, instead of waiting for the daily run. One call goes through 1,000 entries; what is left is gone through in the background, or by calling again.
   *
   * Needs the key scope `audit:write` and an operator's key.
   */
  pruneAuditDetails: Method<"pruneAuditDetails">;
  /**
   * List the runs that erased details, newest first. The entries themselves were never touched.
   *
   * Needs the key scope `audit:read`.
   */
  listRetentionCheckpoints: Method<"listRetentionCheckpoints">;
  /**
   * Erase everything about one agent: what it did in the log, its sessions, approvals, payments, events and kept answers. Every proof of the log still holds, and totals stay. Its sessions must have ended. One call goes through up to 500,000 entries; while `complete` is false, call again.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  eraseAgent: Method<"eraseAgent">;
  /**
   * Erase everything about one session: what was done in it, its approvals, payments, events and kept answers. Every proof of the log still holds, and totals stay. It must have ended. One call goes through up to 500,000 entries; while `complete` is false, call again.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  eraseSession: Method<"eraseSession">;
  /**
   * List the erasures of agents and sessions, newest first. They do not say of which.
   *
   * Needs the key scope `admin:read` and an operator's key.
   */
  listErasures: Method<"listErasures">;
  /**
   * Register an MCP server behind haldir, over streamable HTTP. Its tools are listed at once, and pinned as they are then: one that changes later is not called until an operator accepts the change. Registering a name again replaces the address. A server that does not answer is registered as unhealthy, and is asked again when one of its tools is called.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  registerUpstream: Method<"registerUpstream">;
  /**
   * List the upstream servers, whether they are well, and what was called of them.
   *
   * Needs the key scope `proxy:read`.
   */
  listUpstreams: Method<"listUpstreams">;
  /**
   * Delete an upstream server with its tools and their pins: from the next call on none of them is known.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  deleteUpstream: Method<"deleteUpstream">;
  /**
   * Accept tools in quarantine as their upstream offers them now: one of them, or all. Look at the difference first: listProxyTools shows both.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  acceptTools: Method<"acceptTools">;
  /**
   * Set the labels of an upstream's tool: a source of untrusted content, a sink that sends its input out of the organisation or destroys something, and the cost of a call. A session that has read from a source calls a sink only with approval; costs are taken from its budget. A label that is left out is removed.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  markTool: Method<"markTool">;
  /**
   * List the tools of all upstream servers, as they were accepted. Those in quarantine are listed as such, with what the upstream offers now; they are not called.
   *
   * Needs the key scope `proxy:read`.
   */
  listProxyTools: Method<"listProxyTools">;
  /**
   * Call a tool of an upstream server. The call passes session, pins, scope, policies, budget and approvals, and is an entry of the log before it leaves. `{{secret:NAME}}` in the arguments stands for a secret that may go there. If the answer has the status `approval_required`, a person has to approve it first: repeat the same call later.
   *
   * Needs the key scope `proxy:write`.
   */
  proxyCall: Method<"proxyCall">;
  /**
   * Say what may be called through the proxy. Every policy must let a call pass. Tools are named `upstream.tool`, `tool`, `upstream.*` or `*`; a policy that forbids holds for names that look alike too, one that allows for exactly that name.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  addProxyPolicy: Method<"addProxyPolicy">;
  /**
   * List the policies of the proxy, oldest first.
   *
   * Needs the key scope `proxy:read`.
   */
  listProxyPolicies: Method<"listProxyPolicies">;
  /**
   * Show what a policy would have refused of the newest calls in the log, without adding it.
   *
   * Needs the key scope `proxy:read` and an operator's key.
   */
  testProxyPolicy: Method<"testProxyPolicy">;
  /**
   * Delete a policy of the proxy: from the next call on it forbids nothing.
   *
   * Needs the key scope `proxy:write` and an operator's key.
   */
  deleteProxyPolicy: Method<"deleteProxyPolicy">;
  /**
   * Count the calls that this tenant's agents and API keys made in a month: every authenticated call of an operation or of a wrapped server's tool, over REST, MCP over HTTP or stdio, successful or not. Commands of an operator at a terminal beside the store do not count.
   *
   * Needs the key scope `admin:read`.
   */
  getUsage: Method<"getUsage">;
  /**
   * Figures of this tenant: keys, sessions, actions, spending, secrets and payments; kept as they change, not counted when asked for.
   *
   * Needs the key scope `admin:read`.
   */
  getMetrics: Method<"getMetrics">;
  /**
   * What stands in this tenant at a glance: usage, open sessions, vault, log, webhooks, approvals, and whether haldir is well. For dashboards.
   *
   * Needs the key scope `admin:read` and an operator's key.
   */
  getOverview: Method<"getOverview">;
  /**
   * Make an API key. The first key of an empty store needs no authentication on a loopback address, and belongs to an operator. Later ones are made by an operator's key, or with the bootstrap token, which makes a new tenant. A key has a role and ceilings that no session created with it can exceed. It is shown once.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  createApiKey: Method<"createApiKey">;
  /**
   * List the API keys of this tenant, newest first: never the keys themselves, which are not stored.
   *
   * Needs the key scope `admin:read` and an operator's key.
   */
  listApiKeys: Method<"listApiKeys">;
  /**
   * Replace an API key by a new one with the same name, tier, role, scopes and ceilings. The old key stays valid for an overlap, so that its users can change over. The new key is shown once. An operator can replace keys that allow no more than the operator's own key.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  rotateApiKey: Method<"rotateApiKey">;
  /**
   * Change an API key's hourly limit, from the next call on. It has an effect only where the server limits calls.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  setApiKeyTier: Method<"setApiKeyTier">;
  /**
   * Revoke an API key: it is refused from the next call on, in every process, and the sessions that it made end. Revoking twice is no error.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  revokeApiKey: Method<"revokeApiKey">;
  /**
   * List the tenants of the whole store, in the order of their ids. Only the operator of the server can: it needs the bootstrap token, or the terminal client beside the store.
   *
   * Needs the key scope `admin:read` and an operator's key.
   */
  listTenants: Method<"listTenants">;
  /**
   * Give a tenant a name for people. Only the operator of the server can: it needs the bootstrap token, or the terminal client beside the store. No two tenants have the same name.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  nameTenant: Method<"nameTenant">;
  /**
   * Register an address for events. They are sent as signed POST requests, at least once and in order, and retried for up to a day until the receiver answers with a 2xx status. The address must be public, unless the operator allows its host.
   *
   * Needs the key scope `webhooks:write` and an operator's key.
   */
  registerWebhook: Method<"registerWebhook">;
  /**
   * List the webhooks of this tenant, with their delivery counts and queued events; never their secrets.
   *
   * Needs the key scope `webhooks:read` and an operator's key.
   */
  listWebhooks: Method<"listWebhooks">;
  /**
   * List attempts to deliver events, newest first: when each was made, how the receiver responded, and when it is retried. Attempts are kept for 30 days.
   *
   * Needs the key scope `webhooks:read` and an operator's key.
   */
  listDeliveries: Method<"listDeliveries">;
  /**
   * List events that were not delivered: after a day of attempts, or because the receiver answered 410. They are kept for 30 days; resendDeadLetters sends them again.
   *
   * Needs the key scope `webhooks:read` and an operator's key.
   */
  listDeadLetters: Method<"listDeadLetters">;
  /**
   * Delete a webhook, its secret, its dead letters and its queued events.
   *
   * Needs the key scope `webhooks:write` and an operator's key.
   */
  deleteWebhook: Method<"deleteWebhook">;
  /**
   * Give a webhook a new secret. Until the overlap ends, `webhook-signature` holds a signature with each of the two; X-Haldir-Signature, which holds one signature, uses the new secret from now on.
   *
   * Needs the key scope `webhooks:write` and an operator's key.
   */
  rotateWebhookSecret: Method<"rotateWebhookSecret">;
  /**
   * Send a test event, `ping`, to one webhook, and make its queued events due now. The ping is sent in order, like any other event; listDeliveries shows the result. A webhook that a 410 response had disabled is active again.
   *
   * Needs the key scope `webhooks:write` and an operator's key.
   */
  pingWebhook: Method<"pingWebhook">;
  /**
   * Send dead letters of a webhook again, oldest first, behind its queued events; each is retried for another day. A webhook that a 410 response had disabled is active again.
   *
   * Needs the key scope `webhooks:write` and an operator's key.
   */
  resendDeadLetters: Method<"resendDeadLetters">;
  /**
   * Make the evidence pack of a period: eight sections with figures from the log, each with its criterion and with what it does not show, and a digest with an Ed25519 signature. Packs of a closed period differ only in the date on which they are made.
   *
   * Needs the key scope `audit:read` and an operator's key.
   */
  getEvidence: Method<"getEvidence">;
  /**
   * Read the digest and the signature of a period's evidence pack without the pack, to compare with an archived pack of a closed period.
   *
   * Needs the key scope `audit:read` and an operator's key.
   */
  getEvidenceManifest: Method<"getEvidenceManifest">;
  /**
   * Score the tenant's present configuration against seven criteria, each with a reason and a remedy.
   *
   * Needs the key scope `audit:read` and an operator's key.
   */
  getComplianceScore: Method<"getComplianceScore">;
  /**
   * Schedule an evidence pack for each day, week, month or quarter (UTC), delivered to a webhook after the period as the event `compliance.evidence_pack`. The first is for the period in which the schedule is created. Packs that were missed while no server ran are made later, one for each period.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  createComplianceSchedule: Method<"createComplianceSchedule">;
  /**
   * List the schedules of evidence packs, with the results of their last runs.
   *
   * Needs the key scope `admin:read` and an operator's key.
   */
  listComplianceSchedules: Method<"listComplianceSchedules">;
  /**
   * Delete a schedule. Packs that are queued for its webhook are still delivered.
   *
   * Needs the key scope `admin:write` and an operator's key.
   */
  deleteComplianceSchedule: Method<"deleteComplianceSchedule">;
  /**
   * Whether the process runs
   */
  healthCheck: Method<"healthCheck">;
  /**
   * Whether the process runs, and nothing else
   */
  livenessCheck: Method<"livenessCheck">;
  /**
   * Whether the store answers, and each thing that haldir needs
   */
  readinessCheck: Method<"readinessCheck">;
  /**
   * What there is
   */
  apiIndex: Method<"apiIndex">;
  /**
   * How this process is doing, without a figure of any tenant
   */
  getStatus: Method<"getStatus">;
}

/** The version of the server that this was generated from. */
export const API_VERSION = "0.1.0";

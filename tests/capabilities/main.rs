//! Black-box tests by capability. They speak to the real server over HTTP and standard input and output, look at
//! the database as somebody with the file in their hands would, and move the clock only where it can be injected.

mod support;

mod agreement;
mod anomalies;
mod approvals;
mod audit_chain;
mod audit_export;
mod audit_stats;
mod bad_input;
mod bad_requests;
mod cli;
mod compliance;
mod compliance_schedules;
mod crash;
mod discovery;
mod elicitation;
mod faults;
mod full_disk;
mod hourly_limits;
mod http_manners;
mod keys_and_roles;
mod mirrors;
mod otlp;
mod overview;
mod packaging;
mod payments;
mod policy_edges;
mod processes;
mod proofs;
mod proofs_elsewhere;
mod proxy;
mod reference;
mod retention;
mod rotation;
mod secrets;
mod sessions;
mod stdio_keys;
mod tamper;
mod tamper_rebuilt;
mod transparent;
mod usage;
mod verify_parts;
mod webhooks;
mod wrap_config;
mod wrapped;

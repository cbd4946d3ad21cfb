//! What each section speaks to, and what it does not show. The texts are signed with the pack: whoever changes one raises
//! [`FORMAT_VERSION`].

use schemars::JsonSchema;
use serde::Serialize;

/// The version of the pack's members and texts.
pub const FORMAT_VERSION: i64 = 2;

/// What a pack is, for whoever reads it first.
pub const DISCLAIMER: &str = "This pack states what haldir recorded of AI agents in one period. It is one input to an audit, and no attestation: \
     it says nothing about people, policies, or systems that do not go through haldir.";

/// A section and its criterion.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Control {
    /// The SOC 2 trust services criterion that the section speaks to; null for none.
    pub criterion: Option<&'static str>,
    /// The section's title.
    pub title: &'static str,
    /// What it shows.
    pub evidence: &'static str,
    /// What it does not show.
    pub does_not_show: &'static str,
}

/// The sections in their order, by the member of the pack that holds their figures.
pub const CONTROLS: [(&str, Control); 8] = [
    (
        "identity",
        Control {
            criterion: None,
            title: "Identity",
            evidence: "Whose log this pack is about, and the entries that the period covers.",
            does_not_show: "Which company or person stands behind the tenant.",
        },
    ),
    (
        "access_control",
        Control {
            criterion: Some("CC6.1"),
            title: "Access control",
            evidence: "The API keys in force at the end of the period with their roles and scopes, and how often keys and \
                       sessions were made, replaced and ended, and calls refused.",
            does_not_show: "Who holds a key, how people sign in, or whether access was reviewed. The keys come from the \
                            key table, which is not part of the log; their making and revoking is in the log.",
        },
    ),
    (
        "encryption",
        Control {
            criterion: Some("CC6.7"),
            title: "Encryption",
            evidence: "How secrets are sealed at rest, and how often they were stored, read and deleted through haldir.",
            does_not_show: "How the master key is kept, whether transport is encrypted in front of haldir, and what an \
                            agent did with a secret after it read it.",
        },
    ),
    (
        "audit_trail",
        Control {
            criterion: Some("CC7.2"),
            title: "Audit trail",
            evidence: "How many entries the log has of the period, which were flagged, and the hash that stands for every \
                       entry up to its end.",
            does_not_show: "That every entry was read again for this pack: /v1/audit/verify does that. Actions that an \
                            agent did not report and that did not go through haldir are not in the log.",
        },
    ),
    (
        "spend_governance",
        Control {
            criterion: Some("CC5.2"),
            title: "Spend governance",
            evidence: "Payments that were authorized against budgets, captured, voided and refused, and the cost that \
                       agents reported.",
            does_not_show: "Whether money moved: haldir authorizes, others pay. Reported cost is the agents' own word.",
        },
    ),
    (
        "approvals",
        Control {
            criterion: Some("CC8.1"),
            title: "Human approvals",
            evidence: "How often agents asked for a decision, what was decided, and how often rules were changed.",
            does_not_show: "Who decided beyond the key they used, how carefully, or changes of software that are approved \
                            elsewhere.",
        },
    ),
    (
        "webhooks",
        Control {
            criterion: Some("CC7.3"),
            title: "Outbound alerting",
            evidence: "Attempts to deliver alerts and how many the receivers accepted, and changes of the subscriptions.",
            does_not_show: "Whether anybody read an alert or acted on it.",
        },
    ),
    (
        "signatures",
        Control {
            criterion: None,
            title: "Document signature",
            evidence: "A SHA-256 digest of everything but the date of making and this section, signed with haldir's \
                       Ed25519 key.",
            does_not_show: "More than that the holder of the key made this document: take the public key from a source \
                            that you trust. The counters behind the figures are not authenticated; an export of the log \
                            lets you count them again.",
        },
    ),
];

/// How secrets are sealed.
pub const CIPHER: &str = "XChaCha20-Poly1305";
/// What a sealed secret is bound to.
pub const BOUND_TO: &str = "tenant, name, version, required scope, disclosure";

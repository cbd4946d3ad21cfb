//! The one error type. Each variant has a stable machine code, an HTTP status, and a message that names the fix.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::{RawValue, to_raw_value};

/// An error: a stable code, and a message that names the field and the fix.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of a call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of the error.
    pub code: Code,
    /// For people: what is wrong, and what to do.
    pub message: String,
    /// The input field it is about.
    pub field: Option<String>,
    /// Details for programs, by name: `limit`, `required`, `max_bytes`. JSON text, which keeps amounts of money exact.
    pub extra: Vec<(Cow<'static, str>, Box<RawValue>)>,
}

/// Declares the codes with their wire names, HTTP statuses, and whether the same call may succeed later.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, retry $retry:literal;)*) => {
        /// The kinds of error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status (RFC 9110).
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Whether the same call may succeed later without being changed.
            pub fn may_retry(self) -> bool {
                match self { $(Self::$variant => $retry,)* }
            }
        }
    };
}

codes! {
    /// The body or the arguments are not JSON.
    MalformedJson = "malformed_json", 400, retry false;
    /// A field is missing, unknown, of the wrong type or out of bounds.
    InvalidArgument = "invalid_argument", 400, retry false;
    /// Tree sizes that the log never had.
    InvalidRange = "invalid_range", 400, retry false;
    /// An unknown export format.
    InvalidFormat = "invalid_format", 400, retry false;
    /// An irreversible operation without `confirm`.
    ConfirmationRequired = "confirmation_required", 400, retry false;
    /// An address that haldir may not call.
    UnsafeUrl = "unsafe_url", 400, retry false;
    /// Anonymous, unknown, revoked or expired key.
    Unauthorized = "unauthorized", 401, retry false;
    /// The session does not exist, is expired or revoked.
    SessionInvalid = "session_invalid", 401, retry false;
    /// The session lacks a scope.
    ScopeDenied = "scope_denied", 403, retry false;
    /// The key lacks a scope.
    InsufficientScope = "insufficient_scope", 403, retry false;
    /// Only an operator may do this.
    OperatorRequired = "operator_required", 403, retry false;
    /// More than the ceilings of the key or of the local configuration allow.
    CeilingExceeded = "ceiling_exceeded", 403, retry false;
    /// More than the parent session allows.
    ExceedsParent = "exceeds_parent", 403, retry false;
    /// A budget does not allow the payment.
    BudgetExceeded = "budget_exceeded", 403, retry false;
    /// Another currency than the budget's.
    CurrencyMismatch = "currency_mismatch", 403, retry false;
    /// The secret is for injection only.
    InjectOnly = "inject_only", 403, retry false;
    /// An operator must approve the call first; a request was raised.
    ApprovalRequired = "approval_required", 403, retry true;
    /// The approval is unknown, denied, expired, used, or for another action.
    ApprovalInvalid = "approval_invalid", 403, retry false;
    /// The request was decided before; a decision is final.
    AlreadyDecided = "already_decided", 400, retry false;
    /// The request expired before it was decided.
    ApprovalExpired = "approval_expired", 400, retry false;
    /// No upstream offers a tool of this name, or more than one does.
    UnknownTool = "unknown_tool", 403, retry false;
    /// The tool has changed since it was accepted.
    ToolQuarantined = "tool_quarantined", 403, retry false;
    /// A policy of the proxy forbids the call.
    PolicyDenied = "policy_denied", 403, retry true;
    /// A secret in a call may not go to that upstream, or there is none of that name.
    SecretDenied = "secret_denied", 403, retry false;
    /// Host or Origin is not allowed here.
    ForbiddenOrigin = "forbidden_origin", 403, retry false;
    /// The record does not exist.
    NotFound = "not_found", 404, retry false;
    /// The path exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", 405, retry false;
    /// The client did not send the request in time.
    RequestTimeout = "request_timeout", 408, retry true;
    /// The record's state does not allow the operation.
    Conflict = "conflict", 409, retry false;
    /// The body is larger than allowed.
    PayloadTooLarge = "payload_too_large", 413, retry false;
    /// The Content-Type is not JSON.
    UnsupportedMediaType = "unsupported_media_type", 415, retry false;
    /// The same idempotency key came with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, retry false;
    /// The hourly limit is reached.
    RateLimited = "rate_limit_exceeded", 429, retry true;
    /// The store cannot serve the call now: over its limits, full, or shutting down.
    Unavailable = "unavailable", 503, retry true;
    /// A fault of haldir or of its store.
    Internal = "internal", 500, retry true;
}

impl Error {
    /// An error with a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, extra: Vec::new() }
    }

    /// The detail of this name.
    pub fn extra(&self, name: &str) -> Option<&RawValue> {
        self.extra.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// An invalid input field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message).field(field)
    }

    /// The record does not exist.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} was not found"))
    }

    /// A fault of haldir. The detail goes to the server's log, never to the caller: it may contain paths or data.
    pub fn internal(detail: impl fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(Code::Internal, "haldir could not complete the call; its log says why")
    }

    /// Sets the field that the error is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a detail for programs.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Serialize) -> Self {
        // What has no JSON form is left out: the error itself must reach the caller all the same.
        self.extra.extend(to_raw_value(&value).ok().map(|value| (name.into(), value)));
        self
    }

    /// Whether the error is a refusal: the caller lacks a permission, as opposed to an invalid input. Refusals are audit entries.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code.status(), 401 | 403) && self.code != Code::Unauthorized
    }

    /// A sentence for the model at an agent's client: whether haldir refused the call, and why.
    pub fn sentence(&self) -> String {
        let who = if self.is_refusal() { "haldir refused this call" } else { "This call was not carried out" };
        let end = if self.message.ends_with(['.', '!', '?']) { "" } else { "." };
        format!("{who}: {}{end}", self.message)
    }

    /// Whether the transaction of the failed call is committed: it holds a raised request, or the expiry of one.
    pub fn keeps_changes(&self) -> bool {
        matches!(self.code, Code::ApprovalRequired | Code::ApprovalExpired)
    }

    /// Parses the output of [`Self::body`], from this or another haldir, without changing its texts.
    pub fn from_body(status: u16, text: &str) -> Self {
        let mut body: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
        let mut take =
            |name: &str| body.remove(name).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
        let (said, named, field) = (take("error"), take("code"), take("field"));
        let named = named.and_then(|name| Code::ALL.iter().find(|code| code.name() == name));
        let by_status = || Code::ALL.iter().find(|code| code.status() == status && status < 500);
        let code = named.or_else(by_status).copied().unwrap_or(Code::Unavailable);
        let message = said.unwrap_or_else(|| format!("haldir answered with status {status}"));
        // These two are about that answer, not about the next.
        body.retain(|name, _| name != "request_id" && name != "retryable");
        let extra = body.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { code, message, field, extra }
    }

    /// The wire form as JSON: `error`, `code`, and where they apply `field`, `request_id` and more.
    pub fn body(&self, request_id: Option<&str>) -> String {
        // Texts, booleans and raw JSON under text keys: there is nothing here that cannot be written.
        serde_json::to_string(&Body { error: self, request_id }).unwrap_or_default()
    }
}

struct Body<'a> {
    error: &'a Error,
    request_id: Option<&'a str>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Error { code, message, field, extra } = self.error;
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("error", message)?;
        body.serialize_entry("code", code.name())?;
        body.serialize_entry("retryable", &code.may_retry())?;
        if let Some(field) = field {
            body.serialize_entry("field", field)?;
        }
        for (name, value) in extra {
            body.serialize_entry(name, value)?;
        }
        if let Some(id) = self.request_id {
            body.serialize_entry("request_id", id)?;
        }
        body.end()
    }
}

//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a retry gets the first response and changes nothing. Keys are
//! looked up and stored in the transaction of the call, so that concurrent duplicates are one call.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::definition::{Operation, ResponseBody};
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{UnixMicros, text},
    store::IdempotentResponse,
};

/// How long a response is kept, in seconds.
const KEEP_SECONDS: i64 = 86_400;
/// The longest key.
const MAX_KEY_CHARS: usize = 255;
/// Responses that are kept for one tenant. A call with one more key is refused.
const MAX_ANSWERS_OF_TENANT: i64 = 100_000;
/// Bytes of responses that are kept for one tenant. A call beyond that is carried out; its retry is a conflict, as for a
/// response that is too long.
const MAX_BYTES_OF_TENANT: i64 = 16 * 1024 * 1024;

/// The longest response that is kept, in bytes.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// A response of up to this many bytes is kept beyond the tenant's limit; nearly all are this short.
const ALWAYS_KEPT_BYTES: usize = 1024;

/// A call with an idempotency key.
pub(super) struct IdempotentCall {
    key: String,
    digest: [u8; 32],
    /// The session that the input names; erasing the session erases the response.
    session_id: String,
}

impl IdempotentCall {
    pub(super) fn new(operation: &Operation, key: &str, input: &str) -> Result<Self> {
        if let Some(problem) = text::problem(key, 1, MAX_KEY_CHARS, false) {
            return Err(Error::invalid("idempotency_key", format!("the idempotency key {problem}")));
        }
        // Sorted by name, with each value as written: amounts that differ in the last digit must differ here.
        let fields: BTreeMap<String, Box<RawValue>> = super::input::parse(input)?;
        let session = fields.get("session_id").and_then(|session| serde_json::from_str(session.get()).ok());
        let fields = serde_json::to_string(&fields).map_err(Error::internal)?;
        let digest = crypto::digest(&[operation.name.as_bytes(), b"\0", fields.as_bytes()]);
        Ok(Self { key: key.to_owned(), digest, session_id: session.unwrap_or_default() })
    }

    /// The response to the same call before, which may be a refusal.
    pub(super) fn earlier(&self, cx: &WriteContext<'_>) -> Result<Option<Result<(u16, ResponseBody)>>> {
        let found = cx.tx.idempotent_response(&cx.caller.tenant, &cx.caller.principal, &self.key)?;
        let Some(answer) = found.filter(|answer| cx.now.seconds_since(answer.created_at) < KEEP_SECONDS) else {
            return Self::require_room(cx).map(|()| None);
        };
        if !crypto::same(&answer.digest, &self.digest) {
            let message = "this idempotency key came with another call before: use a new key for a new call";
            return Err(Error::new(Code::IdempotencyMismatch, message));
        }
        match answer.body {
            Some(body) if answer.status < 400 => Ok(Some(Ok((answer.status, Zeroizing::new(body))))),
            Some(body) => Ok(Some(Err(Error::from_body(answer.status, &body)))),
            None => Err(Error::new(
                Code::Conflict,
                "this call was carried out before; its response held a secret, was too long or was erased, and is not kept",
            )),
        }
    }

    /// Refuses a call whose key cannot be stored: its retry would be carried out again.
    fn require_room(cx: &WriteContext<'_>) -> Result<()> {
        let (answers, _) = cx.tx.kept_responses(&cx.caller.tenant)?;
        if answers < MAX_ANSWERS_OF_TENANT {
            return Ok(());
        }
        let message = format!(
            "this tenant has used {answers} idempotency keys within a day, and may use {MAX_ANSWERS_OF_TENANT}: call \
             without one, or try again later"
        );
        Err(Error::new(Code::Unavailable, message))
    }

    /// Reserves the key before an outgoing request. Until its result is stored, and if it never is, a retry is a conflict.
    pub(super) fn reserve(&self, cx: &mut WriteContext<'_>) -> Result<()> {
        let message = "this call was begun before, and its outcome is not known: check the log before you repeat it with a \
                       new key";
        self.put(cx, Code::Conflict.status(), Some(Error::new(Code::Conflict, message).body(None)), cx.now)
    }

    /// Releases the key.
    pub(super) fn release(&self, cx: &mut WriteContext<'_>) -> Result<()> {
        self.put(cx, Code::Conflict.status(), None, UnixMicros::default())
    }

    fn put(&self, cx: &mut WriteContext<'_>, status: u16, body: Option<String>, created_at: UnixMicros) -> Result<()> {
        let answer =
            IdempotentResponse { digest: self.digest, status, body, created_at, session_id: self.session_id.clone() };
        let forget_before = cx.now.plus_seconds(-KEEP_SECONDS);
        Ok(cx.tx.put_idempotent_response(&cx.caller.tenant, &cx.caller.principal, &self.key, &answer, forget_before)?)
    }

    /// Stores the response for a retry.
    pub(super) fn keep(&self, cx: &mut WriteContext<'_>, operation: &Operation, status: u16, body: &str) -> Result<()> {
        let (_, bytes) = cx.tx.kept_responses(&cx.caller.tenant)?;
        let has_room = i64::try_from(body.len()).is_ok_and(|more| bytes.saturating_add(more) <= MAX_BYTES_OF_TENANT);
        let is_short = body.len() <= MAX_KEPT_BYTES && (has_room || body.len() <= ALWAYS_KEPT_BYTES);
        let body = (is_short && (status >= 400 || !operation.answers_secret)).then(|| body.to_owned());
        self.put(cx, status, body, cx.now)
    }
}

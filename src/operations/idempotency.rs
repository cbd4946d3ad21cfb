//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a retry gets the first answer again, and changes
//! nothing. Looked up and kept in the transaction of the call itself, so that racing duplicates are one call.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::definition::{Answer, Operation};
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{UnixMicros, text},
    store::IdempotentResponse,
};

/// How long an answer is kept, in seconds.
const KEEP_SECONDS: i64 = 86_400;
/// The longest key.
const MAX_KEY_CHARS: usize = 255;
/// Answers of one tenant that are kept at a time. With one more key a call is refused, and not carried out.
const MAX_ANSWERS_OF_TENANT: i64 = 100_000;
/// Bytes of the answers of one tenant that are kept at a time. A call beyond is carried out; its repetition is a conflict,
/// as where an answer is too long.
const MAX_BYTES_OF_TENANT: i64 = 16 * 1024 * 1024;

/// The longest answer that is kept, in bytes.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// An answer of up to so many bytes is kept even then: those of nearly all operations are.
const ALWAYS_KEPT_BYTES: usize = 1024;

/// A call that can be repeated.
pub(super) struct Repeatable {
    key: String,
    digest: [u8; 32],
    /// The session that the input names; what is erased of a session takes the answer with it.
    session_id: String,
}

impl Repeatable {
    pub(super) fn new(operation: &Operation, key: &str, input: &str) -> Result<Self> {
        if let Some(problem) = text::problem(key, 1, MAX_KEY_CHARS, false) {
            return Err(Error::invalid("idempotency_key", format!("the idempotency key {problem}")));
        }
        // In the order of their names, but each as written: two amounts that differ in the last digit differ.
        let fields: BTreeMap<String, Box<RawValue>> = super::input::parse(input)?;
        let session = fields.get("session_id").and_then(|session| serde_json::from_str(session.get()).ok());
        let fields = serde_json::to_string(&fields).map_err(Error::internal)?;
        let digest = crypto::digest(&[operation.name.as_bytes(), b"\0", fields.as_bytes()]);
        Ok(Self { key: key.to_owned(), digest, session_id: session.unwrap_or_default() })
    }

    /// The answer that was given to the same call before; a refusal is an answer.
    pub(super) fn earlier(&self, cx: &WriteContext<'_>) -> Result<Option<Result<(u16, Answer)>>> {
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
                "this call was carried out before; its answer held a secret, was too long or was erased, and is not kept",
            )),
        }
    }

    /// Refuses a call whose answer could not even be remembered: its repetition would be carried out again.
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

    /// Takes the key for a call that is about to leave: until it is known how that ends, its repetition is a conflict.
    /// If that is never known, it stays one.
    pub(super) fn reserve(&self, cx: &mut WriteContext<'_>) -> Result<()> {
        let message = "this call was begun before, and its outcome is not known: look at the log before you repeat it \
                       with a new key";
        self.put(cx, Code::Conflict.status(), Some(Error::new(Code::Conflict, message).body(None)), cx.now)
    }

    /// Gives the key back.
    pub(super) fn release(&self, cx: &mut WriteContext<'_>) -> Result<()> {
        self.put(cx, Code::Conflict.status(), None, UnixMicros::default())
    }

    fn put(&self, cx: &mut WriteContext<'_>, status: u16, body: Option<String>, created_at: UnixMicros) -> Result<()> {
        let answer =
            IdempotentResponse { digest: self.digest, status, body, created_at, session_id: self.session_id.clone() };
        let forget_before = cx.now.plus_seconds(-KEEP_SECONDS);
        Ok(cx.tx.put_idempotent_response(&cx.caller.tenant, &cx.caller.principal, &self.key, &answer, forget_before)?)
    }

    /// Keeps the answer for a retry.
    pub(super) fn keep(&self, cx: &mut WriteContext<'_>, operation: &Operation, status: u16, body: &str) -> Result<()> {
        let (_, bytes) = cx.tx.kept_responses(&cx.caller.tenant)?;
        let has_room = i64::try_from(body.len()).is_ok_and(|more| bytes.saturating_add(more) <= MAX_BYTES_OF_TENANT);
        let is_short = body.len() <= MAX_KEPT_BYTES && (has_room || body.len() <= ALWAYS_KEPT_BYTES);
        let body = (is_short && (status >= 400 || !operation.answers_secret)).then(|| body.to_owned());
        self.put(cx, status, body, cx.now)
    }
}

//! `{{secret:NAME}}`, the placeholder that the proxy replaces with the value of a secret.

use super::SecretName;
use crate::error::{Code, Error, Result};

/// What a placeholder begins with.
pub const OPEN: &str = "{{secret:";
/// What a placeholder ends with.
pub const CLOSE: &str = "}}";
/// Different secrets in one text.
const MAX_SECRETS: usize = 32;

/// Whether the text holds a placeholder.
pub fn has_any(text: &str) -> bool {
    text.contains(OPEN)
}

/// The names of the secrets in a text, each once, in the order in which they first occur.
///
/// # Errors
///
/// `secret_denied` for a placeholder without an end, a name that is no secret's name, and more than 32 secrets.
pub fn names(text: &str) -> Result<Vec<SecretName>> {
    let denied = |message: String| Error::new(Code::SecretDenied, message).field("arguments");
    let mut names = Vec::new();
    for piece in text.split(OPEN).skip(1) {
        let Some((name, _)) = piece.split_once(CLOSE) else {
            return Err(denied("a placeholder for a secret has no end: write {{secret:NAME}}".to_owned()));
        };
        let name = SecretName::parse(name).map_err(|problem| denied(format!("the name of a secret {problem}")))?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > MAX_SECRETS {
            return Err(denied(format!("a call may hold at most {MAX_SECRETS} different secrets")));
        }
    }
    Ok(names)
}

//! The arguments of a request, changed by the operator in an editor.

use serde_json::value::RawValue;

use super::super::{super::output::indented, request::is_call};
use crate::approvals::detail::ApprovalDetail;

/// Changed arguments of a request.
#[derive(Default)]
pub struct Change {
    /// A text that is not valid JSON, kept for the next time the editor opens.
    draft: Option<String>,
    arguments: Option<Box<RawValue>>,
}

impl Change {
    /// What the editor begins with.
    pub fn text(&self, request: &ApprovalDetail) -> Option<String> {
        let asked = request.details.as_ref().filter(|_| is_call(request))?;
        let shown = self.arguments.as_ref().unwrap_or(asked);
        Some(self.draft.clone().unwrap_or_else(|| indented(shown.get()).to_string() + "\n"))
    }

    /// Reads what was typed; returns what the operator should know.
    pub fn take(&mut self, request: &ApprovalDetail, text: String) -> String {
        let asked = request.details.as_deref().map_or("", RawValue::get);
        match read(&text) {
            Ok(arguments) if is_same(asked, arguments.get()) => {
                *self = Self::default();
                "nothing was changed".to_owned()
            }
            Ok(arguments) => {
                *self = Self { draft: None, arguments: Some(arguments) };
                "a approves the call with these arguments, u takes the change back".to_owned()
            }
            Err(problem) => {
                self.draft = Some(text);
                format!("{problem}: e goes on with what you typed")
            }
        }
    }

    /// The arguments, if they were changed.
    pub fn arguments(&self) -> Option<&RawValue> {
        self.arguments.as_deref()
    }
}

/// The arguments of a call, as a person wrote them.
pub fn read(text: &str) -> Result<Box<RawValue>, String> {
    let arguments: Box<RawValue> =
        serde_json::from_str(text.trim()).map_err(|error| format!("this is no JSON: {error}"))?;
    if arguments.get().starts_with('{') { Ok(arguments) } else { Err("arguments are a JSON object".to_owned()) }
}

/// Whether two texts are the same JSON, however it is laid out.
pub fn is_same(before: &str, after: &str) -> bool {
    *indented(before) == *indented(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_is_kept_for_the_editor() {
        let request = super::super::super::tests::request(r#"{"path":"/a"}"#);
        let mut change = Change::default();
        assert_eq!(change.text(&request).as_deref(), Some("{\n  \"path\": \"/a\"\n}\n"));
        assert_eq!(change.take(&request, " {\"path\": \"/a\"}\n".to_owned()), "nothing was changed");
        for broken in ["{\"path\": ", "[]", ""] {
            let said = change.take(&request, broken.to_owned());
            assert!(said.contains("e goes on"), "{said}");
            assert_eq!(change.text(&request).as_deref(), Some(broken));
            assert!(change.arguments().is_none());
        }
        assert!(change.take(&request, "{\"path\": \"/b\"}".to_owned()).starts_with("a approves"));
        assert_eq!(change.arguments().map(RawValue::get), Some("{\"path\": \"/b\"}"));
    }
}

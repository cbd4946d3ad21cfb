//! What is told of a call that was not made.

use serde_json::Value;

use super::text;

/// What a model reads of a call that was not made, as JSON: an error, with a sentence in front of it. Were its first text
/// JSON alone, some clients would take that for structured content and show the model nothing of it.
#[track_caller]
pub fn refusal_in(result: &Value) -> Value {
    assert_eq!(result["isError"], true, "{result}");
    let told = text(&result["content"][0], "text");
    let (sentence, facts) = told.split_once('\n').unwrap_or_else(|| panic!("{result}"));
    assert!(sentence.ends_with('.') && sentence.contains(' ') && !sentence.starts_with('{'), "{sentence}");
    serde_json::from_str(facts).unwrap_or_else(|_| panic!("{result}"))
}

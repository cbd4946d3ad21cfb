//! The merge of path, query and body with arbitrary texts.

use haldir_verify::json::canonical;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// What bodies are made of, so that many of them are nearly JSON.
const PIECES: &str = "{¦}¦[¦]¦:¦,¦ ¦\t¦\u{c}¦\u{a0}¦\u{feff}¦\"id\"¦\"i\\u0064\"¦\"n\"¦\"b\"¦\"x\"¦\"\\\"\"¦1¦1.0¦-0¦1e2¦true¦null¦\
                      \"id\":\"x\"¦\"\\u0069d\":1¦\"n\":1¦{\"id\":{}}¦\"o\":{\"id\":2},¦\"";

fn pieces() -> impl Strategy<Value = String> {
    vec(select(PIECES.split('¦').collect::<Vec<_>>()), 0..10).prop_map(|pieces| pieces.concat())
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..64),
        pieces().prop_map(String::into_bytes),
        pieces().prop_map(|inner| format!("{{{}}}", inner.trim_end_matches(',')).into_bytes()),
    ]
}

fn fields() -> Fields {
    Fields(
        [("id", Kind::Text), ("n", Kind::Number), ("b", Kind::Boolean)]
            .map(|(name, kind)| (name.to_owned(), kind))
            .into(),
    )
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok()
}

proptest! {
    #[test]
    fn a_body_that_is_no_object_does_not_become_one_and_none_replaces_a_field_of_the_path(
        id in prop_oneof![Just("x".to_owned()), any::<String>()],
        text in prop_oneof!["(n|b|id|q)=[a-z0-9%+.]{0,4}(&(n|b)=[a-z0-9]{0,3})?", "\\PC{0,16}"],
        body in bodies(),
    ) {
        let Ok(pairs) = query(&text) else { return Ok(()) };
        let Ok(given) = fields().object([vec![("id".to_owned(), id.clone())], pairs].concat()) else { return Ok(()) };
        let Ok(merged) = merge(given, &body) else { return Ok(()) };
        let body = std::str::from_utf8(&body).unwrap();
        prop_assert_eq!(is_object(&merged), body.is_empty() || is_object(body), "{}", merged);
        // A member that the body itself repeats is left to the operation, which refuses it.
        if is_object(&merged) && (body.is_empty() || canonical(body, "body").is_ok()) {
            let read: Value = serde_json::from_str(&canonical(&merged, "input").unwrap()).unwrap();
            prop_assert_eq!(read["id"].as_str(), Some(id.as_str()), "{}", merged);
        }
    }
}

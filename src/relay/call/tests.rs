//! What is read as a message, and how it is passed on.

use serde_json::Value;

use super::*;
use crate::{
    protocol::code::{INVALID_REQUEST, PARSE_ERROR},
    relay::elicitation::waits,
};

fn refused(text: &str) -> i32 {
    let message = Message::read(text).and_then(|message| Call::read(message.params).map(drop));
    message.err().unwrap_or_else(|| panic!("{text} was taken")).0
}

#[test]
fn that_a_call_waits_is_told_under_its_token_and_as_less_than_any_progress() {
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap()["params"].clone();
    let (first, last) = (read(waits("\"p\"", 1)), read(waits("7", 40)));
    assert_eq!((&first["progressToken"], &last["progressToken"]), (&Value::from("p"), &Value::from(7)));
    let steps = [&first, &last].map(|told| told["progress"].as_f64().unwrap());
    assert!(0.0 < steps[0] && steps[0] < steps[1] && steps[1] < 0.001, "{steps:?}");
}

#[test]
fn what_two_readers_would_understand_differently_is_no_call() {
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#), INVALID_REQUEST);
    assert_eq!(refused(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), INVALID_REQUEST);
    assert_eq!(refused("{"), PARSE_ERROR);
    for params in [
        r#"{"name":"read","name":"delete"}"#,
        r#"{"name":"read","Name":"delete"}"#,
        r#"{"name":"read","n\u0061me":"delete"}"#,
        r#"{"Name":"read"}"#,
        r#"{"name":7}"#,
        r#"{"name":"read","arguments":{"path":"a","path":"b"}}"#,
        r#"{"name":"read","arguments":{"path":"a","Path":"b"}}"#,
        r#"{"name":"read","arguments":[{"path":"a"}]}"#,
        r#"{"name":"read","arguments":{"x":{"y":1,"y":2}}}"#,
        r#"{"name":"read","_meta":{"io.haldir/session_id":7}}"#,
        "[]",
        "{}",
    ] {
        assert_eq!(refused(&call(params)), INVALID_PARAMS, "{params}");
    }
}

#[test]
fn a_call_goes_on_as_it_was_written_without_what_was_for_haldir() {
    let params = r#"{"_meta":{"progressToken":1.0,"io.haldir/session_id":"ses_x","a.b/c":{}},"name":"e\u0063ho","arguments":{"n":1.10,"big":12345678901234567890123}}"#;
    let raw: Box<RawValue> = serde_json::from_str(params).unwrap();
    let call = Call::read(Some(&raw)).unwrap();
    assert_eq!((call.name.as_str(), call.session.as_deref()), ("echo", Some("ses_x")));
    assert_eq!(
        call.forwarded("\"a\"", call.arguments.unwrap().get()),
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"_meta":{"progressToken":1.0,"a.b/c":{}},"name":"echo","arguments":{"n":1.10,"big":12345678901234567890123}}}"#
    );
}

#[test]
fn what_haldir_asked_the_client_is_not_for_the_upstream() {
    let read = |params: &str| serde_json::from_str::<Box<RawValue>>(params).unwrap();
    let first = read(r#"{"name":"a","arguments":{"n":1.10},"requestState":"theirs","inputResponses":{"x":{"n":2.0}}}"#);
    let question = ApprovalQuestion {
        request_id: ApprovalId::parse("apr_1").unwrap(),
        message: "?".to_owned(),
        proof: "p".to_owned(),
    };
    let asked: Value = serde_json::from_str(&Call::read(Some(&first)).unwrap().asking(&question).unwrap()).unwrap();
    let again = read(&format!(
        r#"{{"name":"a","arguments":{{"n":1.10}},"requestState":{},"inputResponses":{{"haldir_approval":{{"action":"decline"}}}}}}"#,
        asked["requestState"]
    ));
    let call = Call::read(Some(&again)).unwrap();
    assert!(matches!(&call.answered, Some((state, ApprovalReply::Deny(_))) if state.request_id == "apr_1"));
    assert_eq!(
        call.forwarded("1", r#"{"n":1.10}"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.10},"requestState":"theirs","inputResponses":{"x":{"n":2.0}}}}"#
    );
    let own = Call::read(Some(&first)).unwrap();
    assert!(own.answered.is_none() && own.forwarded("1", "{}").contains("theirs"));
}

use std::time::Instant;

use tokio::sync::mpsc;

use super::*;

fn listener(whose: u64) -> (CallListener, mpsc::Receiver<CallEvent>) {
    let (sender, said) = mpsc::channel(4);
    (CallListener { whose, sender, pace: Arc::default() }, said)
}

/// No request is in flight.
fn none() -> InFlight {
    InFlight::new(mpsc::channel(1).0, Arc::default())
}

/// A call begins.
fn enter(in_flight: &InFlight, listener: Option<&CallListener>, pace: &Arc<CallClock>) -> Ticket {
    in_flight.begin(Some((listener.cloned(), Arc::clone(pace)))).unwrap_or_else(|_| panic!("it has ended")).0
}

/// A call is answered.
fn answer(call: &Ticket) {
    let text = response(&call.id.to_string(), "{}");
    call.in_flight.answered(&call.id.to_string(), &Message::read(&text).unwrap());
}

fn heard_in(in_flight: &InFlight, text: &str, stream: Option<&str>) -> Taken {
    in_flight.heard(&Message::read(text).unwrap(), text.len(), stream)
}

const ASKS: &str = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;
const LOGS: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;

#[tokio::test]
async fn what_names_no_call_is_for_the_newest_of_one_client_and_for_nobody_where_there_are_two() {
    let in_flight = none();
    let ((one, mut heard), (other, mut heard_too)) = (listener(1), listener(2));
    let first = enter(&in_flight, Some(&one), &Arc::default());
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Asked(_)) && heard.try_recv().is_ok());
    let second = enter(&in_flight, Some(&other), &Arc::default());
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Refused(_)));
    assert!(matches!(heard_in(&in_flight, LOGS, None), Taken::Done));
    assert!(heard.try_recv().is_err() && heard_too.try_recv().is_err());
    answer(&second);
    drop(second);
    assert!(matches!(heard_in(&in_flight, LOGS, None), Taken::Done) && heard.try_recv().is_ok());
    // A call without a listener belongs to a client too.
    let plain = enter(&in_flight, None, &Arc::default());
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Refused(_)));
    answer(&plain);
    drop(plain);
    // One that was given up may still be asked about: what is asked is not for the next client.
    drop(first);
    let (third, mut heard) = listener(3);
    let _third = enter(&in_flight, Some(&third), &Arc::default());
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Refused(_)) && heard.try_recv().is_err());
}

#[tokio::test]
async fn what_stands_in_the_answer_to_a_call_is_for_that_call_alone() {
    let in_flight = none();
    let ((one, mut heard), (other, mut heard_too)) = (listener(1), listener(2));
    let _both = (enter(&in_flight, Some(&one), &Arc::default()), enter(&in_flight, Some(&other), &Arc::default()));
    assert!(matches!(heard_in(&in_flight, ASKS, Some("2")), Taken::Asked(_)));
    assert!(heard.try_recv().is_err() && matches!(heard_too.try_recv(), Ok(CallEvent::Request(_))));
    assert!(matches!(heard_in(&in_flight, ASKS, Some("9")), Taken::Passes));
    let progress = |token: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        )
    };
    heard_in(&in_flight, &progress("\"1\""), None);
    assert!(matches!(heard.try_recv(), Ok(CallEvent::Progress(_))) && heard_too.try_recv().is_err());
    heard_in(&in_flight, &progress("5"), None);
    assert!(heard.try_recv().is_err() && heard_too.try_recv().is_err());
}

#[test]
fn progress_gives_a_call_time_that_nobody_listens_to() {
    let in_flight = none();
    let (begin, pace) = (Instant::now(), Arc::<CallClock>::default());
    let _silent = enter(&in_flight, None, &pace);
    let progress = |token: u32| {
        let params = format!(r#"{{"progressToken":{token},"progress":1}}"#);
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
    };
    assert!(matches!(heard_in(&in_flight, &progress(4), None), Taken::Done) && pace.since(begin) == Some(begin));
    assert!(matches!(heard_in(&in_flight, &progress(1), None), Taken::Done) && pace.since(begin) > Some(begin));
}

#[tokio::test]
async fn a_question_is_answered_once_and_may_be_taken_back() {
    let in_flight = none();
    let (one, mut heard) = listener(1);
    let _first = enter(&in_flight, Some(&one), &Arc::default());
    let Taken::Asked(asked) = heard_in(&in_flight, ASKS, None) else { panic!("nobody was asked") };
    let Ok(CallEvent::Request(mut question)) = heard.try_recv() else { panic!("nothing was heard") };
    // The client has not been asked yet.
    assert!(one.pace.since(Instant::now()).is_some());
    question.begin();
    assert!(one.pace.since(Instant::now()).is_none());
    question.answer(Ok(serde_json::value::to_raw_value(&serde_json::json!({"roots": []})).unwrap()));
    assert!(one.pace.since(Instant::now()).is_some());
    let (response, _) = asked.response().await.unwrap();
    assert_eq!(response, r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}"#);
    let Taken::Asked(asked) = heard_in(&in_flight, ASKS, None) else { panic!("nobody was asked") };
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#;
    assert!(matches!(heard_in(&in_flight, cancel, None), Taken::Done));
    assert!(asked.response().await.is_none());
    let Ok(CallEvent::Request(mut question)) = heard.try_recv() else { panic!("nothing was heard") };
    question.withdrawn().await;
    let Taken::Asked(asked) = heard_in(&in_flight, ASKS, None) else { panic!("nobody was asked") };
    drop(heard.try_recv());
    assert!(asked.response().await.unwrap().0.contains("the call is over"));
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_too_long() {
    let in_flight = none();
    let (one, mut heard) = listener(1);
    let _first = enter(&in_flight, Some(&one), &Arc::default());
    let log = |bytes: usize| LOGS.replace(":1}", &format!(r#":"{}"}}"#, "x".repeat(bytes)));
    assert!(matches!(heard_in(&in_flight, &log(65_536), None), Taken::Done) && heard.try_recv().is_err());
    assert!(matches!(heard_in(&in_flight, &log(60_000), None), Taken::Done) && heard.try_recv().is_ok());
    let step = |bytes: usize| {
        let params = format!(r#"{{"progressToken":1,"progress":1,"message":"{}"}}"#, "x".repeat(bytes));
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
    };
    assert!(matches!(heard_in(&in_flight, &step(65_536), None), Taken::Done) && heard.try_recv().is_err());
    assert!(matches!(heard_in(&in_flight, &step(60_000), None), Taken::Done) && heard.try_recv().is_ok());
    let asks = |id: usize, bytes: usize| {
        let (id, text) = ("i".repeat(id), "x".repeat(bytes));
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"roots/list","params":{{"a":"{text}"}}}}"#)
    };
    assert!(
        matches!(heard_in(&in_flight, &asks(1, 1024 * 1024), None), Taken::Refused(_)) && heard.try_recv().is_err()
    );
    assert!(matches!(heard_in(&in_flight, &asks(255, 1), None), Taken::Done) && heard.try_recv().is_err());
    assert!(matches!(heard_in(&in_flight, &asks(254, 1_000_000), None), Taken::Asked(_)) && heard.try_recv().is_ok());
}

#[tokio::test]
async fn a_question_has_its_place_until_it_is_answered_and_nobody_looks_at_it_any_more() {
    let in_flight = none();
    let (sender, mut heard) = mpsc::channel(2 * MAX_QUESTIONS);
    let one = CallListener { whose: 1, sender, pace: Arc::default() };
    let _first = enter(&in_flight, Some(&one), &Arc::default());
    let mut all: Vec<_> = (0..MAX_QUESTIONS).map(|_| heard_in(&in_flight, ASKS, None)).collect();
    assert!(all.iter().all(|taken| matches!(taken, Taken::Asked(_))));
    // Taken back and answered, but still looked at.
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#;
    assert!(matches!(heard_in(&in_flight, cancel, None), Taken::Done));
    drop(all.remove(0));
    let Ok(CallEvent::Request(question)) = heard.try_recv() else { panic!("nothing was heard") };
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Refused(_)));
    drop(question);
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Asked(_)));
    // Answered, but not sent yet.
    let Ok(CallEvent::Request(question)) = heard.try_recv() else { panic!("nothing was heard") };
    let Taken::Asked(asked) = all.remove(0) else { panic!("nobody was asked") };
    drop(question);
    let sending = asked.response().await.unwrap();
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Refused(_)));
    drop(sending);
    assert!(matches!(heard_in(&in_flight, ASKS, None), Taken::Asked(_)));
}

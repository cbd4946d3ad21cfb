//! Calls that wait for their client.

use serde_json::json;

use super::*;
use crate::{
    protocol::request::ServerRequest,
    upstream::{CallClock, Reply},
};

const SOON: Duration = Duration::from_secs(20);

fn key() -> CallKey {
    CallKey::new(&Credential::LocalAgent, "ses_a", "up.ask", "{}")
}

fn question(bytes: usize) -> (MidCallRequest, oneshot::Receiver<Reply>) {
    let params = serde_json::value::to_raw_value(&json!({"a": "x".repeat(bytes)})).unwrap();
    MidCallRequest::new(ServerRequest::Roots, Some(params), &Arc::<CallClock>::default())
}

/// A call that answers this once it is told to.
fn call(room: &PausedCalls, answer: String) -> (RunningCall, mpsc::Sender<CallEvent>, oneshot::Sender<()>) {
    let (sender, said) = mpsc::channel(4);
    let (end, ended) = oneshot::channel();
    let work = async move {
        let _ = ended.await;
        RawValue::from_string(answer).map_err(Error::internal)
    };
    (room.run(work, CancellationToken::new(), said), sender, end)
}

fn state(result: &str) -> String {
    let result: serde_json::Value = serde_json::from_str(result).unwrap();
    result["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_whose_client_does_not_come_back_is_taken_back() {
    let room = PausedCalls::default();
    let (running, _said, _end) = call(&room, "{}".to_owned());
    let cancelled = running.cancelled.clone();
    let (asked, replied) = question(1);
    let left = room.leave_for(Duration::from_millis(50), running, vec![asked], key());
    let state = state(&left.ok().unwrap());
    assert!(!cancelled.is_cancelled());
    tokio::time::timeout(SOON, cancelled.cancelled()).await.unwrap();
    assert!(tokio::time::timeout(SOON, replied).await.unwrap().is_err(), "nobody has answered");
    assert!(room.find(&state, key()).is_none());
    assert!(room.0.waiting.lock().is_empty());
}

#[tokio::test]
async fn what_came_meanwhile_is_there_when_the_client_is_back_and_takes_no_more_room_than_there_is() {
    let room = PausedCalls::default();
    let (running, said, end) = call(&room, "{\"a\":1}".to_owned());
    let (asked, replied) = question(1);
    let state = state(&room.leave(running, vec![asked], key()).ok().unwrap());
    let (small, _later) = question(1);
    let (large, refused) = question(MAX_KEPT_BYTES);
    said.send(CallEvent::Request(small)).await.unwrap();
    said.send(CallEvent::Request(large)).await.unwrap();
    let reply = tokio::time::timeout(SOON, refused).await.unwrap().unwrap();
    assert!(reply.unwrap_err().1.contains("too much"));
    assert!(room.find(&state, CallKey::new(&Credential::LocalAgent, "ses_b", "up.ask", "{}")).is_none());
    let answers = serde_json::from_value(json!({"q0": {"roots": []}})).unwrap();
    let mut back = room.find(&state, key()).unwrap().go_on(Some(&answers)).await.unwrap();
    assert_eq!(replied.await.unwrap().unwrap().get(), r#"{"roots":[]}"#);
    assert_eq!(back.asked_meanwhile().len(), 1);
    assert_eq!(room.0.kept.available_permits(), MAX_KEPT_BYTES);
    end.send(()).unwrap();
    assert_eq!((&mut back.outcome).await.unwrap().result.unwrap().get(), "{\"a\":1}");
}

#[tokio::test]
async fn a_call_that_is_over_is_not_left_whatever_it_asks() {
    let room = PausedCalls::default();
    let (running, _said, end) = call(&room, format!("\"{}\"", "x".repeat(MAX_KEPT_BYTES)));
    end.send(()).unwrap();
    while !running.outcome.is_finished() {
        tokio::task::yield_now().await;
    }
    let (asked, refused) = question(1);
    let Err(back) = room.leave(running, vec![asked], key()) else { panic!("it lies there") };
    assert_eq!(refused.await.unwrap().unwrap_err().1, OVER);
    assert!(room.0.waiting.lock().is_empty());
    assert!(back.outcome.await.unwrap().result.is_ok());
}

#[tokio::test]
async fn an_answer_that_is_too_large_does_not_wait_and_a_caller_leaves_so_many_calls() {
    let room = PausedCalls::default();
    let (running, _said, end) = call(&room, format!("\"{}\"", "x".repeat(MAX_KEPT_BYTES)));
    let state = state(&room.leave(running, vec![question(1).0], key()).ok().unwrap());
    end.send(()).unwrap();
    let waits = room.0.waiting.lock().get(&state).is_some();
    assert!(waits);
    // Two tasks: the call, and the one that hears its upstream meanwhile.
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 1 {
        tokio::task::yield_now().await;
    }
    let back = room.find(&state, key()).unwrap().go_on(None).await.unwrap();
    assert!(back.outcome.await.unwrap().result.unwrap_err().message.contains("too large"));
    let mut others = Vec::new();
    for _ in 0..MAX_OF_CALLER {
        let (running, said, end) = call(&room, "{}".to_owned());
        assert!(room.leave(running, vec![question(1).0], key()).is_ok());
        others.push((said, end));
    }
    let (running, _said, _end) = call(&room, "{}".to_owned());
    let (asked, refused) = question(1);
    assert!(room.leave(running, vec![asked], key()).is_err());
    assert!(refused.await.unwrap().unwrap_err().1.contains("too much"));
    let other = CallKey::new(&Credential::ApiKey("hld_b".to_owned().into()), "ses_a", "up.ask", "{}");
    let (running, _said, _end) = call(&room, "{}".to_owned());
    assert!(room.leave(running, vec![question(1).0], other).is_ok());
}

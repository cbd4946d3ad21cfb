//! What an upstream on a pipe says, as its client hears it.

use futures::future::BoxFuture;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::*;
use crate::{
    error::Result,
    model::{SecretName, SecretVersion, UnixMicros},
    operations::proxied::MidCallRequests,
    redact::{Audience, Known, Learnt, Secret, Sent},
    relay::govern::{CallAttempt, Decision},
};

struct Unasked;

impl Govern for Unasked {
    fn observe(&self, _: Vec<Box<RawValue>>) -> BoxFuture<'_, Result<()>> {
        unreachable!()
    }

    fn visible(&self, _: &[&RawValue]) -> Result<Vec<bool>> {
        unreachable!()
    }

    fn admit(&self, _: CallAttempt) -> BoxFuture<'_, Result<Decision>> {
        unreachable!()
    }

    fn recorded(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn requests_outside_calls(&self) -> Result<MidCallRequests> {
        unreachable!()
    }

    fn changes(&self) -> BoxFuture<'_, Option<watch::Receiver<u64>>> {
        Box::pin(async { None })
    }
}

#[tokio::test]
async fn batches_are_read_and_every_message_is_written_anew() {
    let sent = Arc::new(Sent::default());
    let name = SecretName::parse("token").unwrap();
    sent.learn([Learnt {
        secret: Secret { name: name.to_string(), value: Zeroizing::new("tok-12345678".to_owned()) },
        version: SecretVersion { name, version: 1, created_at: UnixMicros(1) },
        stored_by: String::new(),
    }]);
    let known = Known::new(sent, Audience::Everyone);
    let (to_client, mut heard) = mpsc::channel(16);
    let (to_upstream, mut asked) = mpsc::channel(16);
    let secrets = Redact::new(Arc::new(known));
    let minute = Duration::from_secs(60);
    let limits = UpstreamLimits { call_timeout: minute, start_timeout: minute, ..UpstreamLimits::default() };
    let mut exchange = Exchange::new(Arc::new(Unasked), to_client, to_upstream, limits, secrets);
    for id in [1, 2] {
        exchange.from_client(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#), None).await;
        assert!(asked.recv().await.is_some());
    }
    let upstream = [
        r#"[{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"a tok-1234"},"tok-12345678":"tok-12345678"},
            {"jsonrpc":"2.0","id":1,"result":{"x":"tok-12345678"},"x":"tok-12345678"}]"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"5678 b"}}"#,
        r#"{"jsonrpc":"2.0","id":"tok-12345678","method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","id":"q","method":"tok-12345678"}"#,
        r#"{"jsonrpc":"2.0","id":2,"result":{},"error":{"code":1,"message":"x"}}"#,
        "tok-12345678",
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
    ];
    for text in upstream {
        exchange.from_upstream(text.to_owned()).await;
    }
    drop(exchange);
    let mut all = Vec::new();
    while let Some(text) = heard.recv().await {
        all.push(text);
    }
    assert_eq!(
        all,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"a [redacted: token]"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"x":"[redacted: token]"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"[redacted: token] b"}}"#,
            r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        ]
    );
}

#[tokio::test]
async fn a_call_that_waits_for_the_tools_waits_for_those_after_a_change() {
    let known = Known::new(Arc::new(Sent::default()), Audience::Everyone);
    let (to_client, mut heard) = mpsc::channel(16);
    let (to_upstream, mut asked) = mpsc::channel(16);
    let minute = Duration::from_secs(60);
    let limits = UpstreamLimits { call_timeout: minute, start_timeout: minute, ..UpstreamLimits::default() };
    let mut exchange = Exchange::new(Arc::new(Unasked), to_client, to_upstream, limits, Redact::new(Arc::new(known)));
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    exchange.from_client(call, None).await;
    let list =
        |number: u8| format!(r#"{{"jsonrpc":"2.0","id":"haldir-{number}","method":"tools/list","params":{{}}}}"#);
    assert_eq!(asked.recv().await.as_deref(), Some(&list(1)));
    // Servers that register tools after the handshake say so at once, before they answer.
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    exchange.from_upstream(changed.to_owned()).await;
    assert_eq!(asked.recv().await.as_deref(), Some(&list(2)));
    assert_eq!(heard.recv().await.as_deref(), Some(changed));
    // The list from before the change is not looked at.
    exchange.from_upstream(r#"{"jsonrpc":"2.0","id":"haldir-1","result":{"tools":[]}}"#.to_owned()).await;
    assert!(asked.try_recv().is_err());
}

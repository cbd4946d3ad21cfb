//! How long values are known, and for which audiences they are redacted.

use zeroize::Zeroizing;

use super::*;
use crate::model::{SecretName, UnixMicros};

fn learnt(number: i64, value: &str, stored_by: &str) -> Learnt {
    let name = SecretName::parse("key").unwrap();
    Learnt {
        secret: Secret { name: name.to_string(), value: Zeroizing::new(value.to_owned()) },
        version: SecretVersion { name, version: number, created_at: UnixMicros(number) },
        stored_by: stored_by.to_owned(),
    }
}

#[test]
fn what_one_stored_makes_no_way_for_what_another_did() {
    let sent = Arc::new(Sent::default());
    sent.learn([learnt(1, "operators-value", ""), learnt(2, "Others.t0ken.0123", "b")]);
    let stored = learnt(3, "agents-own-value", "a");
    let versions: SecretVersions = vec![stored.version.clone()].into();
    sent.learn_stored([stored], versions);
    sent.learn((4..2_000).map(|number| learnt(number, &format!("flood-of-{number}-a"), "a")));
    assert_eq!(sent.0.lock().values.len(), 3 + MAX_UNNAMED_OF_AGENT);
    let text = "operators-value Others.t0ken.0123 agents-own-value flood-of-4-a";
    let to_agent = Known::new(Arc::clone(&sent), Audience::Agent("a".to_owned()));
    assert_eq!(to_agent.text(text), "[redacted: key] [redacted] [redacted: key] flood-of-4-a");
    assert_eq!(to_agent.to(Audience::Everyone).text(text), "[redacted: key] [redacted] agents-own-value flood-of-4-a");
    assert_eq!(
        to_agent.to(Audience::Definitions).text(text),
        "[redacted: key] Others.t0ken.0123 agents-own-value flood-of-4-a"
    );
    assert_eq!(to_agent.to(Audience::Log).text(text), "[redacted: key] [redacted] [redacted] flood-of-4-a");
}

#[test]
fn an_agents_values_do_not_have_those_of_operators_built_anew() {
    let sent = Arc::new(Sent::default());
    sent.learn([learnt(1, "operators-value", "")]);
    let before = sent.part(&Layer::Operators).unwrap().unwrap();
    sent.learn([learnt(2, "agents-own-value", "a")]);
    assert!(!sent.is_built(&Audience::Agent("a".to_owned())) && sent.is_built(&Audience::Everyone));
    assert!(Arc::ptr_eq(&before, &sent.part(&Layer::Operators).unwrap().unwrap()));
    assert!(sent.part(&Layer::Agent("a".to_owned())).unwrap().is_some());
    assert!(sent.part(&Layer::Tokens).unwrap().is_none());
}

#[test]
fn words_numbers_and_sentences_are_no_tokens() {
    for text in [
        "Never deletes anything", "not_approved", "1234567890123456", "2026-11-30", "        ", "aaaaaaaaaaaaaaaa1111",
        "internationalization",
    ] {
        assert!(!is_token(text), "{text}");
    }
    for token in ["sk_live_51HagentsOwnKey", "f3a9c0417be25d86", "Xy7-pQ9_zR2.mN4w"] {
        assert!(is_token(token), "{token}");
    }
}

//! Arbitrary policies and arguments.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{super::compile::compile, ALL, PolicyResult, TenantId, Told, judge, policy, question, when};

/// What policies are made of, so that many texts can nearly be read.
const PIECES: &str = "permit (principal, action, resource)¦forbid (principal, action, resource)¦\
                      permit (principal == Agent::\"a\", action, resource)¦ when { ¦ unless { ¦ }¦;¦@id(\"x\") ¦\
                      @requires_approval(\"y\") ¦context.hour¦context.text¦.hasTag(\"/a\")¦.getTag(\"/a\")¦context.whole¦\
                      context.number¦context.list¦context.amount¦.contains(¦resource.name¦principal¦ == ¦ && ¦ || ¦ + ¦ * ¦!¦-¦(¦)¦[¦\
                      ]¦{¦}¦ like \"a*\"¦ in ¦ has ¦ is ¦if ¦ then ¦ else ¦true¦false¦1¦9223372036854775807¦\"/a\"¦\"\\u{202e}\"¦\"¦\
                      // ¦\n¦Upstream::\"up\"¦decimal(\"1.0\")¦.lessThan(¦, ¦é";

fn conditions() -> impl Strategy<Value = String> {
    let one = select(vec![
        "context.text.hasTag(\"/a\") && context.text.getTag(\"/a\") like \"a*\"",
        "context.whole.hasTag(\"/a\") && context.whole.getTag(\"/a\") * 3 > 5",
        "context.number.hasTag(\"/a/0\") && context.number.getTag(\"/a/0\").lessThan(decimal(\"5.0\"))",
        "context.list.hasTag(\"/a\") && context.list.getTag(\"/a\").contains(\"b\")",
        "context.flag.hasTag(\"/~0~1\") && context.flag.getTag(\"/~0~1\")",
        "context.amount_nanos > 5",
        "context.given.contains(\"/a\")",
    ]);
    vec((one, select(vec!["&&", "||"])), 1..4).prop_map(|parts| {
        parts.into_iter().fold("true".to_owned(), |text, (part, word)| format!("({text}) {word} ({part})"))
    })
}

/// JSON that a client sends as arguments.
fn arguments() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let value = scalar.prop_recursive(3, 16, 4, |inner| {
        let name = select(vec!["a", "~/", "amount", "b"]);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name, inner), 0..4)
                .prop_map(|members| { members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() })
        ]
    });
    prop_oneof![value.prop_map(|value| json!({"a": value}).to_string()), any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused(
        text in prop_oneof![any::<String>(), vec(select(PIECES.split('¦').collect::<Vec<_>>()), 0..40).prop_map(|pieces| pieces.concat())],
    ) {
        let _ = compile(&text);
    }

    #[test]
    fn a_policy_set_decides_about_any_arguments(condition in conditions(), arguments in arguments()) {
        let tenant = TenantId::local();
        for text in [ALL.to_owned(), when(&condition)] {
            let decided = judge(&policy(&text), &question(&tenant, "read", &arguments), &Told::default());
            prop_assert!(!matches!(decided, Ok(PolicyResult::Nothing)), "{}", text);
        }
    }
}

//! Policy sets asked about calls, without a store.

mod any_input;

use std::{cell::Cell, collections::BTreeMap, thread};

use cedar_policy::{Entities, Request};
use serde_json::{Value, json};

use super::{
    Asking,
    compile::{compile, schema_for_tests},
    facts, judge, names,
};
use crate::{
    error::Result,
    model::{
        PinnedTool, Policy, PolicyDefinition, PolicyId, PolicyType, TenantId, ToolMarks, UnixMicros, UpstreamName,
    },
    proxy::policy::{History, PolicyInput, PolicyResult},
};

const ALL: &str = "permit (principal, action, resource);";

/// Counts and marks as the test says.
#[derive(Default)]
struct Told {
    used: BTreeMap<String, i64>,
    tainted: bool,
    looked_up: Cell<usize>,
}

impl History for Told {
    fn is_clear(&self) -> Result<bool> {
        Ok(true)
    }

    fn used(&self, _: &PolicyId, subject: &str, _: i64) -> Result<i64> {
        self.looked_up.set(self.looked_up.get() + 1);
        Ok(self.used.get(subject).copied().unwrap_or(0))
    }

    fn tainted(&self) -> Result<bool> {
        self.looked_up.set(self.looked_up.get() + 1);
        Ok(self.tainted)
    }
}

fn policy(text: &str) -> Policy {
    let definition = PolicyDefinition {
        policy_type: PolicyType::Cedar,
        tool: None,
        tools: None,
        max: None,
        argument: None,
        max_per_minute: None,
        start_hour: None,
        end_hour: None,
        cedar: Some(text.to_owned()),
        dry_run: false,
    };
    let id = PolicyId::parse("pol_test").unwrap();
    Policy { id, definition, created_at: UnixMicros::default(), created_by: String::new() }
}

fn question<'a>(tenant: &'a TenantId, tool: &'a str, arguments: &'a str) -> PolicyInput<'a> {
    PolicyInput {
        tenant,
        key: "hld_0123",
        bound_key: None,
        session_id: "ses_x",
        session: None,
        agent: "writer",
        upstream: "up",
        tool,
        pinned: None,
        arguments,
        // Friday, 15 January 2027, 08:00 UTC.
        at: UnixMicros(1_800_000_000_000_000),
    }
}

/// What is said: `permitted`, `approval`, or why not.
fn said(text: &str, tool: &str, arguments: &str) -> String {
    said_after(text, tool, arguments, &Told::default())
}

fn said_after(text: &str, tool: &str, arguments: &str, past: &Told) -> String {
    let tenant = TenantId::local();
    compile(text).unwrap_or_else(|error| panic!("{}", error.message));
    match judge(&policy(text), &question(&tenant, tool, arguments), past).unwrap() {
        PolicyResult::Nothing => panic!("a policy set always says something"),
        PolicyResult::Pass(..) => "permitted".to_owned(),
        PolicyResult::Ask(why, ..) => format!("approval: {why}"),
        PolicyResult::Forbidden(why, _) => why,
    }
}

fn problem(text: &str) -> String {
    let error = compile(text).err().unwrap_or_else(|| panic!("{text} was taken"));
    assert_eq!((error.code.status(), error.field.as_deref()), (400, Some("cedar")), "{text}");
    error.message
}

fn when(condition: &str) -> String {
    format!("{ALL} @id(\"no\") forbid (principal, action, resource) when {{ {condition} }};")
}

#[test]
fn what_cannot_be_read_or_validated_is_refused_with_its_place() {
    for (text, says) in [
        ("permit (principal, action, resource)\n  when { context.hour = 3 };", "line 2"),
        ("permit (principal, actio, resource);", "line 1, column 20"),
        ("// nothing", "from 1 to 200 policies, this has 0"),
        ("permit (principal, action == Action::\"pay\", resource);", "Action::\"pay\""),
        ("permit (principal == User::\"a\", action, resource);", "User"),
        (
            "permit (principal, action, resource) when { context.colour == 1 };",
            "line 1, column 45: for policy `policy0`, attribute `colour`",
        ),
        ("permit (principal, action, resource) when { context.hour == \"8\" };", "Long and String"),
        ("permit (principal, action, resource) when { context.text.getTag(\"/a\") == \"b\" };", "hasTag"),
        ("permit (principal, action, resource) when { context.amount.lessThan(decimal(\"0.00001\")) };", "decimal"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        (
            "@id(\"a\") permit (principal, action, resource); @id(\"a\") forbid (principal, action, resource);",
            "named a",
        ),
        ("@id(\"\") permit (principal, action, resource);", "at least 1 character"),
        ("@requires_approval(\"x\") permit (principal, action, resource);", "goes with forbid"),
        ("forbid (principal, action, resource == Tool::\"up.*\");", "Upstream::"),
        ("forbid (principal, action, resource == Tool::\"delete\");", "upstream.tool"),
        ("forbid (principal, action, resource in Upstream::\"a b\");", "names no upstream"),
    ] {
        assert!(problem(text).contains(says), "{text}: {}", problem(text));
    }
    for (condition, says) in [
        ("context.text.hasTag(\"path\")", "write \"/path\""),
        ("context.text.hasTag(principal.name)", "written out"),
        ("(if context.hour == 1 then context.text else context.text).hasTag(\"/a\")", "context.text, whole"),
        ("context.text == context.text", "hasTag"),
        ("{a: context}.a.hour == 1", "by itself"),
        ("{hasTag: context}.hasTag.hour == 1", "by itself"),
    ] {
        assert!(problem(&when(condition)).contains(says), "{condition}: {}", problem(&when(condition)));
    }
    let many =
        (0..65).map(|index| when(&format!("context.text.hasTag(\"/{index}\")")).replace("no", &format!("n{index}")));
    assert!(problem(&many.collect::<String>().replace(ALL, "")).contains("64 arguments"));
    let statements = ALL.repeat(201);
    assert!(problem(&statements).contains("200 policies"));
}

#[test]
fn what_is_strange_is_said_and_taken() {
    for text in
        ["forbid (principal == Agent::\"g\u{456}thub\", action, resource);", &when("context.hour > 25 && false")]
    {
        let (_, warnings) = compile(text).unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
    assert!(compile(ALL).unwrap().1.is_empty());
}

#[test]
fn a_forbid_refuses_a_permit_permits_and_nothing_refuses() {
    assert_eq!(said(ALL, "read", "{}"), "permitted");
    let one = "@id(\"r\") permit (principal == Agent::\"writer\", action == Action::\"call\", resource == Tool::\"up.read\");";
    assert_eq!(said(one, "read", "{}"), "permitted");
    for other in ["write", "Read", "r\u{435}ad", "re_ad"] {
        assert!(said(one, other, "{}").contains("no Cedar policy of pol_test permits the call of up."), "{other}");
    }
    let none = "permit (principal == Agent::\"other\", action, resource);";
    assert!(said(none, "read", "{}").contains("add a permit"));
    assert!(said(&when("true"), "read", "{}").contains("forbidden by the Cedar policy no"));
    for group in ["Session::\"ses_x\"", "Key::\"hld_0123\"", "Tenant::\"local\""] {
        let text = format!("permit (principal in {group}, action, resource in Upstream::\"up\");");
        assert_eq!(said(&text, "read", "{}"), "permitted", "{group}");
        let elsewhere = text.replace("\"up\"", "\"down\"");
        assert!(said(&elsewhere, "read", "{}").contains("permits"), "{group}");
    }
}

#[test]
fn a_forbid_that_names_a_tool_holds_for_names_that_look_alike() {
    let text = format!("{ALL} @id(\"no\") forbid (principal, action, resource == Tool::\"up.delete_file\");");
    for name in ["delete_file", "Delete_File", "deleteFile", "d\u{435}lete_file", "de1ete-file", "\u{ff44}elete_file"] {
        assert!(said(&text, name, "{}").contains("forbidden by the Cedar policy no"), "{name}");
    }
    assert_eq!(said(&text, "undelete_file", "{}"), "permitted");
    let set = format!("{ALL} forbid (principal, action, resource) when {{ [Tool::\"up.pay\"].contains(resource) }};");
    assert!(said(&set, "P\u{430}y", "{}").contains("forbidden"));
    let upstream = format!("{ALL} forbid (principal, action, resource in Upstream::\"UP\");");
    assert!(said(&upstream, "read", "{}").contains("forbidden"));
    // What a permit names is exactly that, also where a forbid names the same.
    let both = "permit (principal, action, resource == Tool::\"up.pay\"); forbid (principal, action, resource == \
                Tool::\"up.pay\") when { context.hour > 20 };";
    assert_eq!(said(both, "pay", "{}"), "permitted");
    assert!(said(both, "Pay", "{}").contains("no Cedar policy"));
}

#[test]
fn an_argument_that_cannot_be_looked_at_refuses_what_it_matters_to() {
    let path = when("context.text.hasTag(\"/path\") && context.text.getTag(\"/path\") like \"/etc/*\"");
    for (arguments, permitted) in [
        (r#"{"path":"/home/a"}"#, true),
        (r#"{"path":"\u002fetc/passwd"}"#, false),
        (r#"{"path":"/etc/passwd"}"#, false),
        (r#"{"path":["/etc/passwd"]}"#, false),
        (r#"{"path":null}"#, false),
        (r#"{"path":{"a":1}}"#, false),
        (r#"{"path":7}"#, false),
        (r#"{"other":[1e300,null,{"a":0.00000001}]}"#, true),
        ("{}", true),
    ] {
        assert_eq!(said(&path, "read", arguments) == "permitted", permitted, "{arguments}");
    }
    let long = format!("{{\"path\":\"{}\"}}", "a".repeat(65_536));
    let why = said(&path, "read", &long);
    assert!(why.contains("the argument at /path is a text of more than 65536 bytes"), "{why}");
    let count = when("context.whole.hasTag(\"/n\") && context.whole.getTag(\"/n\") > 5");
    for (number, permitted) in [
        ("5", true),
        ("5.0", true),
        ("6", false),
        ("9223372036854775808", false),
        ("-9223372036854775809", false),
        ("1e400000", false),
        ("5.5", false),
        ("\"5\"", false),
    ] {
        assert_eq!(said(&count, "read", &format!("{{\"n\":{number}}}")) == "permitted", permitted, "{number}");
    }
    let number = when("context.number.hasTag(\"/n\") && context.number.getTag(\"/n\").greaterThan(decimal(\"5.0\"))");
    for (value, permitted) in [("5", true), ("5.0001", false), ("4.99999", false), ("1e3", false), ("-1", true)] {
        assert_eq!(said(&number, "read", &format!("{{\"n\":{value}}}")) == "permitted", permitted, "{value}");
    }
    // Of two kinds in one policy either does; a policy about another tool does not mind.
    let either = when(
        "(context.text.hasTag(\"/id\") && context.text.getTag(\"/id\") == \"7\") || (context.whole.hasTag(\"/id\") && \
         context.whole.getTag(\"/id\") == 7)",
    );
    for (id, permitted) in [("\"7\"", false), ("7", false), ("8", true), ("\"x\"", true), ("7.5", false)] {
        assert_eq!(said(&either, "read", &format!("{{\"id\":{id}}}")) == "permitted", permitted, "{id}");
    }
    let elsewhere = path.replace("resource) when", "resource == Tool::\"up.write\") when");
    assert_eq!(said(&elsewhere, "read", r#"{"path":7}"#), "permitted");
    assert!(said(&elsewhere, "Write", r#"{"path":7}"#).contains("is a number, and is looked at as context.text"));
    // A reason does not show what an argument holds.
    assert!(!said(&path, "read", r#"{"path":["s3cret"]}"#).contains("s3cret"));
}

#[test]
fn an_evaluation_that_fails_refuses_and_shows_no_value() {
    let sum = "context.whole.hasTag(\"/n\") && context.whole.getTag(\"/n\") + 1 > 5";
    let permit = format!("{ALL} @id(\"sum\") permit (principal, action, resource) when {{ {sum} }};");
    for text in [when(sum), permit] {
        let why = said(&text, "read", r#"{"n":9223372036854775807}"#);
        assert!(why.contains("could not be evaluated") && !why.contains("922337"), "{why}");
        assert!(!said(&text, "read", r#"{"n":9223372036854775806}"#).contains("could not"));
    }
}

#[test]
fn amounts_are_found_like_those_of_a_spend_limit() {
    let limit = when("context.amount.greaterThan(decimal(\"100.0\"))");
    let exact = when("context.amount_nanos > 100000000000");
    for (arguments, permitted) in [
        (r#"{"amount":100}"#, true),
        (r#"{"amount":100.000000001}"#, false),
        (r#"{"amount":100.00009}"#, false),
        (r#"{"Total":"$101"}"#, false),
        (r#"{"amount":-500}"#, false),
        (r#"{"amount":"nan"}"#, false),
        (r#"{"amount":1e300}"#, false),
        (r#"{"a":{"b":[500]}}"#, false),
        (r#"{"id":4711,"note":"500 thanks"}"#, true),
        ("{}", true),
    ] {
        for text in [&limit, &exact] {
            assert_eq!(said(text, "pay", arguments) == "permitted", permitted, "{arguments}");
        }
    }
}

#[test]
fn time_counts_and_marks_are_looked_up_where_they_are_asked_for() {
    for (condition, holds) in [
        ("context.hour == 8 && context.minute == 0 && context.weekday == 5 && context.time == 1800000000", true),
        ("context.given.containsAll([\"/a\", \"/b~1c\"]) && !context.given.contains(\"/d\")", true),
        ("resource.destructive && !resource.read_only && !resource.source && resource.name == \"read\"", true),
        ("principal.name like \"wri*\" && principal.depth == 0 && principal.scopes.isEmpty()", true),
        ("context.flag.hasTag(\"/f\") && context.flag.getTag(\"/f\")", true),
        ("context.list.hasTag(\"/l\") && [\"x\", \"y\"].containsAll(context.list.getTag(\"/l\"))", true),
        ("context.list.hasTag(\"/l\") && [\"y\"].containsAll(context.list.getTag(\"/l\"))", false),
    ] {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let past = Told::default();
        let told = said_after(&text, "read", r#"{"a":1,"b/c":{"d":2},"f":true,"l":["x"]}"#, &past);
        assert_eq!(told == "permitted", holds, "{condition}: {told}");
        assert_eq!(past.looked_up.get(), 0, "{condition}");
    }
    let subject = |parts: Value, count| (parts.to_string(), count);
    let used = [
        subject(json!(["session", "ses_x"]), 4),
        subject(json!(["session", "ses_x", "up.read"]), 3),
        subject(json!(["agent", "writer"]), 2),
        subject(json!(["agent", "writer", "up.read"]), 1),
    ];
    let past = Told { used: used.into(), tainted: true, ..Told::default() };
    let counts = "context.session_calls == 4 && context.session_tool_calls == 3 && context.minute_calls == 2 && \
                  context.minute_tool_calls == 1 && context.tainted";
    let text = format!("permit (principal, action, resource) when {{ {counts} }};");
    assert_eq!(said_after(&text, "read", "{}", &past), "permitted");
    assert_eq!(past.looked_up.get(), 5);
    let tenant = TenantId::local();
    let PolicyResult::Pass(saw, counted) = judge(&policy(&text), &question(&tenant, "read", "{}"), &past).unwrap()
    else {
        panic!("it was permitted")
    };
    assert_eq!(counted.len(), 4);
    assert_eq!((&saw["by"], &saw["session_calls"], &saw["tainted"]), (&json!(["policy0"]), &json!(4), &json!(true)));
}

#[test]
fn a_forbid_that_asks_for_approval_waits_for_a_person_unless_another_forbids() {
    let asks = "@id(\"ask\") @requires_approval(\"it is gone for good\") forbid (principal, action, resource == \
                Tool::\"up.delete\");";
    let text = format!("{ALL} {asks}");
    assert_eq!(said(&text, "delete", "{}"), "approval: it is gone for good");
    assert_eq!(said(&text, "DELETE", "{}"), "approval: it is gone for good");
    assert_eq!(said(&text, "read", "{}"), "permitted");
    assert!(said(asks, "delete", "{}").contains("no Cedar policy"), "an approval is no permit");
    let also = format!("{text} @id(\"never\") forbid (principal, action, resource in Upstream::\"up\");");
    assert!(said(&also, "delete", "{}").contains("never"));
}

#[test]
fn what_is_asked_is_what_the_schema_says() {
    let all = "permit (principal, action, resource) when { context.text.hasTag(\"/t\") && context.whole.hasTag(\"/w\") && \
               context.number.hasTag(\"/n\") && context.flag.hasTag(\"/f\") && context.list.hasTag(\"/l\") && \
               context.given.isEmpty() && context.amount_nanos > 0 && context.amount.lessThan(decimal(\"1.0\")) && \
               context.time + context.hour + context.minute + context.weekday + context.session_calls + \
               context.session_tool_calls + context.minute_calls + context.minute_tool_calls > 0 && context.tainted };";
    let (compiled, _) = compile(all).unwrap();
    let (tenant, schema) = (TenantId::local(), schema_for_tests());
    let pinned = PinnedTool {
        upstream: UpstreamName::parse("up").unwrap(),
        name: "read".to_owned(),
        definition: r#"{"annotations":{"readOnlyHint":true}}"#.to_owned(),
        digest: [0; 32],
        offered: None,
        listed: true,
        warnings: Vec::new(),
        marks: ToolMarks::default(),
        first_seen: UnixMicros(0),
        changed_at: None,
        accepted_by: String::new(),
    };
    let arguments = r#"{"f":false,"l":["a"],"n":1.5,"t":"x","w":3}"#;
    let asked = PolicyInput { pinned: Some(&pinned), ..question(&tenant, "read", arguments) };
    let (facts, _) = facts::gather(&compiled, &policy(all), &asked, &Told::default()).unwrap();
    let asking = Asking::new(&compiled, &asked, &facts).unwrap();
    for name in names(&compiled, &asked).unwrap() {
        let (request, entities) = asking.about(&name, &asked).unwrap();
        let entities = Entities::from_entities(entities.iter().cloned(), None).unwrap();
        Entities::from_entities(entities.iter().cloned(), Some(schema)).unwrap_or_else(|error| panic!("{error}"));
        let (principal, action, resource) = (request.principal(), request.action(), request.resource());
        let [principal, action, resource] = [principal, action, resource].map(|uid| uid.unwrap().clone());
        let context = request.context().unwrap().clone();
        Request::new(principal, action, resource, context, Some(schema)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_deepest_text_that_is_taken_fits_on_the_stack_of_a_thread() {
    let deep = [
        vec!["true"; 240].join(" && "),
        vec!["true"; 240].join(" || "),
        format!("{} > 0", vec!["context.hour"; 160].join(" + ")),
        format!("{} true", "if true then true else ".repeat(160)),
        format!("{}true{}", "(".repeat(30), ")".repeat(30)),
        format!("{}1{} == {}1{}", "[".repeat(30), "]".repeat(30), "[".repeat(30), "]".repeat(30)),
        format!("principal{}", ".name".repeat(490)),
    ];
    for condition in deep {
        let thread = thread::Builder::new().stack_size(2 * 1024 * 1024);
        let joined = thread
            .spawn(move || compile(&when(&condition)).is_ok_and(|_| said(&when(&condition), "a", "{}").len() > 1));
        joined.unwrap().join().unwrap();
    }
}

#[test]
fn no_text_of_an_agent_makes_a_policy_set_slow() {
    let when = |patterns: &[String]| {
        let like =
            |pattern: &String| format!("context.text.hasTag(\"/t\") && context.text.getTag(\"/t\") like \"{pattern}\"");
        let policies = patterns
            .iter()
            .map(|pattern| format!("forbid (principal, action, resource) when {{ {} }};", like(pattern)));
        format!("{ALL}{}", policies.collect::<String>())
    };
    // What fits matches nearly everywhere and nowhere.
    let worst = format!("*{}b*", "a".repeat(120));
    let text = when(&vec![worst; 8]);
    let arguments = json!({"t": "a".repeat(65_000)}).to_string();
    let begun = std::time::Instant::now();
    assert_eq!(said(&text, "read", &arguments), "permitted");
    // Seconds without optimisation on a machine that has other work; for ever, were there no bounds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    for (patterns, problem) in [
        (vec!["*a".repeat(9)], "at most 8 wildcards"),
        (vec!["a".repeat(129)], "128 other characters"),
        (vec!["a".repeat(120); 9], "1024 characters together"),
    ] {
        let Err(error) = compile(&when(&patterns)) else { panic!("{problem}: it is taken") };
        assert!(error.message.contains(problem), "{}", error.message);
    }
    let alike = |count: usize| {
        let names =
            (0..count).map(|n| format!("forbid (principal, action, resource == Tool::\"up.d{}e\");", "_".repeat(n)));
        names.collect::<String>()
    };
    assert!(compile(&alike(8)).is_ok());
    let Err(error) = compile(&alike(9)) else { panic!("nine names for one are taken") };
    assert!(error.message.contains("look like up.d"), "{}", error.message);
}

//! Values come back in many forms, and no form of them may pass.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json, value::RawValue};

use super::*;

fn secret(name: &str, value: &str) -> Secret {
    Secret { name: name.to_owned(), value: Zeroizing::new(value.to_owned()) }
}

fn redactor(value: &str) -> Redactor {
    Redactor::new(&[secret("key", value)]).unwrap()
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn redacted(answer: &Value, value: &str) -> String {
    redactor(value).json(raw(&answer.to_string())).get().to_owned()
}

fn texts(parts: &[&str], value: &str) -> String {
    let parts: Vec<_> = parts.iter().map(|text| json!({"type": "text", "text": text})).collect();
    redacted(&json!({ "content": parts }), value)
}

const VALUE: &str = "s3cr\"et/pass word+&<\u{e9}'!(*)";

/// The same as System.Text.Json writes it.
const DOT_NET: &str = r"s3cr\u0022et/pass word\u002B\u0026\u003C\u00E9\u0027!(*)";

/// encodeURI of JavaScript leaves these as they are, besides letters and digits.
const URI: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What Go's encoding/json and Python's json make of a text.
fn json_of_others(text: &str) -> String {
    let go = json!(text).to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003E");
    go.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect()
}

fn html(text: &str) -> String {
    let marked = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;").replace('\'', "&#x27;");
    marked.replace('\u{e9}', "&eacute;")
}

#[test]
fn every_form_of_a_value_is_cut_out() {
    let inner = json!({ "v": VALUE }).to_string();
    let percent = utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string();
    let uri = utf8_percent_encode(VALUE, URI).to_string();
    let hex: String = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let forms = [
        VALUE.to_owned(),
        format!("it is {VALUE}, twice {VALUE}"),
        inner.clone(),
        json!({ "inner": inner }).to_string(),
        inner.replace('/', "\\/"),
        json_of_others(VALUE),
        json_of_others(&json_of_others(VALUE)),
        percent.clone(),
        percent.to_lowercase(),
        uri.clone(),
        json!(uri.to_lowercase()).to_string(),
        utf8_percent_encode(VALUE, CONTROLS).to_string(),
        percent.replace("%20", "+"),
        utf8_percent_encode(&percent, NON_ALPHANUMERIC).to_string(),
        html(VALUE),
        json!(html(VALUE)).to_string(),
        VALUE.replace('"', "\"\""),
        VALUE.replace('\'', "''"),
        VALUE.replace('\u{e9}', "\\303\\251").replace(' ', "\\ ").replace('(', "\\("),
        VALUE.replace('\u{e9}', "\\xe9").replace('\'', "\\'"),
        percent.replace("%C3%A9", "%E9"),
        percent.replace("%C3%A9", "%u00E9"),
        STANDARD_NO_PAD.encode(VALUE),
        URL_SAFE_NO_PAD.encode(VALUE),
        format!("Basic {}", STANDARD.encode(format!("user:{VALUE}"))),
        URL_SAFE.encode(format!("ab{VALUE}z")),
        STANDARD.encode(format!("ab{VALUE}z")).replace('+', "%2B").replace('/', "\\/"),
        STANDARD
            .encode(format!("abc{VALUE}z"))
            .as_bytes()
            .chunks(9)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join("\r\n"),
        hex.clone(),
        hex.to_uppercase(),
        VALUE.chars().rev().collect(),
        // JSON and addresses within base64 and base16, as in tokens and in variables that hold a file.
        STANDARD.encode(&inner),
        URL_SAFE_NO_PAD.encode(json!({ "sub": "x", "v": VALUE }).to_string()),
        STANDARD.encode(json!(VALUE).to_string().replace('&', "\\u0026").replace('<', "\\u003c")),
        STANDARD.encode(json!(VALUE).to_string().replace('\u{e9}', "\\u00e9").replace('/', "\\/")),
        STANDARD.encode(json!(VALUE).to_string().replace('\u{e9}', "\\u00e9")),
        STANDARD.encode(DOT_NET),
        STANDARD.encode(format!("https://user:{percent}@example.com")),
        inner.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
    ];
    for text in forms {
        for answer in [
            json!({"content": [{"type": "text", "text": text}]}),
            json!({"structuredContent": {"a": {"b": text}}}),
            json!({"message": text}),
        ] {
            let found = redacted(&answer, VALUE);
            assert!(found.contains("[redacted: key]"), "{text} became {found}");
            for part in ["s3cr", "pass", "czNjc", "NzM2M", "drow", &hex[8..24]] {
                assert!(!found.to_lowercase().contains(&part.to_lowercase()), "{text} became {found}");
            }
        }
        assert!(redactor(VALUE).text(&text).contains("[redacted: key]"), "{text}");
    }
    assert_eq!(redacted(&json!({VALUE: 1, "n": [VALUE]}), VALUE).matches("redacted").count(), 2);
    assert_eq!(redacted(&json!({"n": [1, 123_456, 7]}), "123456"), r#"{"n":[1,"[redacted: key]",7]}"#);
}

#[test]
fn an_answer_is_cut_and_otherwise_stays_as_it_was_written() {
    let answer = r#"{"b":1.10, "a":[], "big":12345678901234567890123,"\ud800":"\/x"}"#;
    assert_eq!(redactor("xyzxyz").json(raw(answer)).get(), answer);
    let with = r#"{"b":1.10, "a":"\u0041 topsecret\n", "a":"topsecret"}"#;
    let without = r#"{"b":1.10, "a":"\u0041 [redacted: key]\n", "a":"[redacted: key]"}"#;
    assert_eq!(redactor("topsecret").json(raw(with)).get(), without);
    // What looks like a value across an escape is none, and what is cut leaves no half of one.
    assert_eq!(redactor("u0026x").json(raw(r#"["\u0026x"]"#)).get(), r#"["\u0026x"]"#);
    assert_eq!(redactor("\u{e9}t\u{e9}12").json(raw("[\"a\u{e9}t\\u00e912b\"]")).get(), "[\"a[redacted: key]b\"]");
}

#[test]
fn a_value_that_is_split_over_parts_is_cut_out_of_all() {
    let found = texts(&["a topse", "cret", "value b", "x"], "topsecretvalue");
    assert_eq!(found.matches("redacted").count(), 1, "{found}");
    assert!(!found.contains("topse") && !found.contains("cret\"") && !found.contains("value"), "{found}");
    assert!(found.contains("\" b\"") && found.contains("a [redacted"), "{found}");
    let hex: String = "topsecretvalue".bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();
    let found = texts(&[&hex[..9], &hex[9..]], "topsecretvalue");
    assert!(found.contains("[redacted: key]") && !found.contains(&hex[..9]) && !found.contains(&hex[9..]), "{found}");
    for answer in [
        json!({"contents": [{"uri": "a", "text": "topse"}, {"uri": "b", "text": "cretvalue"}]}),
        json!({"content": [{"type": "resource", "resource": {"text": "topse"}}, {"type": "text", "text": "cretvalue"}]}),
        json!({"messages": [{"content": {"type": "text", "text": "topse"}}, {"content": {"type": "text", "text": "cretvalue"}}]}),
        json!({"structuredContent": {"lines": ["topse", "", "cretvalue"]}}),
    ] {
        let found = redacted(&answer, "topsecretvalue");
        assert!(!found.contains("topse") && !found.contains("cretvalue"), "{found}");
    }
}

#[test]
fn a_value_that_is_split_over_messages_is_not_told() {
    let redactor = redactor("topsecretvalue");
    let mut before = Carry::default();
    let mut told = |text: &str| {
        let params = json!({"progressToken": 1, "progress": 1, "message": text}).to_string();
        let told = redactor.told(raw(&params), Told::Progress, &mut before);
        serde_json::from_str::<Value>(told.get()).unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(told("it is tops"), "it is tops");
    assert_eq!(told("ecretva"), "[redacted: key]");
    assert_eq!(told("lue and more"), "[redacted: key] and more");
    assert_eq!(told("it is topsecre"), "it is [redacted: key]");
    assert_eq!(told("tvalue"), "[redacted: key]");
    assert_eq!(told("top secret value"), "top secret value");
}

#[test]
fn a_value_that_is_split_over_the_members_of_an_answer_is_cut_out_of_all() {
    let content = |text: &str| json!([{"type": "text", "text": text}]);
    for answer in [
        json!({"content": content("a topse"), "structuredContent": {"x": {"y": "cretvalue b"}}}),
        json!({"structuredContent": {"x": ["cretvalue b"]}, "content": content("a topse")}),
        json!({"structuredContent": {"n": 1, "x": "a topse"}, "isError": false, "content": content("cretvalue b")}),
        json!({"content": content("x"), "structuredContent": {"first": "a topse", "n": 2, "second": "cretvalue b"}}),
        json!({"code": -32_000, "message": "a topse", "data": {"detail": ["cretvalue b"]}}),
        json!({"code": -32_000, "message": "a topse", "data": "cretvalue b"}),
        json!({"code": -32_000, "data": "a topse", "message": "cretvalue b"}),
    ] {
        let found = redacted(&answer, "topsecretvalue");
        assert!(!found.contains("topse") && !found.contains("cretvalue"), "{found}");
        assert!(found.contains("a [redacted: key]") && found.contains(" b\""), "{found}");
        assert!(serde_json::from_str::<Value>(&found).is_ok(), "{found}");
    }
    // A whole value at the seam is cut out once.
    let answer = json!({"content": content("topsecretvalue"), "structuredContent": {"x": "topsecretvalue"}});
    assert_eq!(redacted(&answer, "topsecretvalue").matches("[redacted: key]").count(), 2);
    // Members that stand there many times take no longer for it.
    let many = format!("{{{}}}", vec![r#""data":"tops""#; 50_000].join(","));
    assert_eq!(redactor("topsecretvalue").json(raw(&many)).get(), many);
}

#[test]
fn a_value_that_is_begun_in_a_message_and_ends_in_the_answer_is_not_told() {
    let redactor = redactor("topsecretvalue");
    let params = |member: &str, text: &str| raw(&json!({"progressToken": 1, member: text}).to_string());
    for answer in [
        json!({"content": [{"type": "text", "text": "retvalue b"}]}),
        json!({"structuredContent": {"x": "retvalue b"}}),
        json!({"code": 1, "message": "retvalue b"}),
        json!({"code": 1, "message": "failed", "data": {"x": "retvalue b"}}),
    ] {
        let mut before = Carry::default();
        let told = redactor.told(params("message", "a topsec"), Told::Progress, &mut before);
        redactor.told(params("data", "something else"), Told::Log, &mut before);
        let found = redactor.answer(raw(&answer.to_string()), &before);
        assert!(found.get().contains("[redacted: key] b"), "{} and {}", told.get(), found.get());
        assert!(!found.get().contains("retvalue"), "{}", found.get());
    }
    let mut before = Carry::default();
    redactor.told(params("data", "a topsec"), Told::Log, &mut before);
    let told = redactor.told(params("message", "retvalue b"), Told::Progress, &mut before);
    assert!(told.get().contains("[redacted: key] b") && !told.get().contains("retvalue"), "{}", told.get());
    let mut log =
        |data: Value| redactor.told(raw(&json!({"level": "info", "data": data}).to_string()), Told::Log, &mut before);
    log(json!({"n": 1, "text": "topse"}));
    let told = log(json!({"more": ["cretvalue b"]}));
    assert!(told.get().contains("[redacted: key] b") && !told.get().contains("cretvalue"), "{}", told.get());
}

#[test]
fn a_value_that_stands_in_its_own_mark_is_cut_out_once() {
    for value in ["r", "key", "redacted", "\u{f0000}"] {
        let found = texts(&[value], value);
        assert!(found.contains(r#""text":"[redacted: key]""#), "{found}");
    }
}

#[test]
fn of_several_values_each_is_cut_out_by_its_name() {
    let all = [secret("a", "alpha-1234"), secret("b", "alpha-1234-beta"), secret("c", "gamma-9876")];
    let redactor = Redactor::new(&all).unwrap();
    let text = "alpha-1234 alpha-1234-beta gamma-9876alpha-1234";
    assert_eq!(redactor.text(text), "[redacted: a] [redacted: b] [redacted: c][redacted: a]");
    // Programs usually trim a value before they use it.
    let redactor = Redactor::new(&[secret("file", " alpha-1234\r\n")]).unwrap();
    assert_eq!(redactor.text("[alpha-1234] YWxwaGEtMTIzNA=="), "[[redacted: file]] [redacted: file]==");
    // As long as a file, and known from its beginning on.
    let long: String = (0..9_000).map(|number| format!("{number:x}")).collect::<Vec<_>>().concat();
    let redactor = Redactor::new(&[secret("file", &long)]).unwrap();
    assert_eq!(redactor.text(&format!("<{long}>")), "<[redacted: file]>");
    let wrapped =
        STANDARD.encode(&long).as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    let found = redactor.text(&wrapped);
    assert!(found.starts_with("[redacted: file]") && found.len() < 24, "{found}");
}

#[test]
fn what_comes_out_is_bounded_whatever_goes_in() {
    let redactor = Redactor::new(&[secret(&"n".repeat(128), "x")]).unwrap();
    let many = "x,".repeat(100_000);
    let clean = redactor.text(&many);
    assert!(clean.len() <= many.len() + Mark::MAX_GROWTH && !clean.contains('x'), "{}", clean.len());
    let answer = json!({"content": [{"type": "text", "text": many}], "x": [0]}).to_string();
    let clean = redactor.json(raw(&answer));
    assert!(clean.get().len() <= answer.len() + Mark::MAX_GROWTH && clean.get().contains("*,*"));
    // More than anybody means is not passed on.
    let more = json!({ "content": [{"type": "text", "text": "x,".repeat(MAX_FOUND + 1)}] }).to_string();
    assert_eq!(redactor.json(raw(&more)).get(), nothing().get());
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(redactor.json(raw(&deep)).get(), nothing().get());
}

/// Each byte of a text is looked at a bounded number of times, whatever it is: twice as much takes twice as many steps.
/// What would show that it is not so is a time, so this takes a text on which the square of its length would take minutes.
#[test]
fn a_text_full_of_escaped_values_is_read_in_passes() {
    let redactor = redactor("a-b");
    let text = "a%2Db".repeat(200_000);
    assert_eq!(redactor.text(&text), "[redacted: key]");
    let parts: Vec<_> = (0..20_000).map(|_| json!({"type": "text", "text": "a%2"})).collect();
    let answer = json!({ "content": parts }).to_string();
    assert_eq!(redactor.json(raw(&answer)).get(), answer);
    // A value that repeats itself, and a text that begins it everywhere.
    let repeats = "ab".repeat(20_000);
    let redactor = Redactor::new(&[secret("file", &format!("{repeats}!"))]).unwrap();
    assert!(redactor.text(&repeats.repeat(20)).len() < 100);
}

#[test]
fn base64_is_cut_out_with_the_letters_that_hold_some_bits_of_a_value() {
    for value in ["topsecretvalue", "topsecretvalu", "topsecretval"] {
        let redactor = redactor(value);
        for (before, after) in
            ["", "a", "ab", "abc"].into_iter().flat_map(|before| ["", "z", "yz", "xyz"].map(|z| (before, z)))
        {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{value}{after}"));
            let clean = redactor.text(&encoded);
            // The letters that would be the same whatever the value is.
            let first = before.len() * 8 / 6;
            let last = ((before.len() + value.len()) * 8).div_ceil(6).min(encoded.len());
            assert_eq!(
                clean,
                format!("{}[redacted: key]{}", &encoded[..first], &encoded[last..]),
                "{before} {value} {after}"
            );
        }
    }
}

#[test]
fn a_key_is_found_line_by_line_and_a_password_without_its_address() {
    let lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU", "t9Us8cKjMzEfYyjiWA4R4/M2bS1"];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let account =
        json!({"type": "service_account", "private_key": pem, "token_uri": "https://oauth2.example.com/token"});
    let yaml = format!("key: |\n  {}\n", lines.join("  \n  "));
    for value in [&pem, &account.to_string(), &format!("{account:#}"), &yaml] {
        for shown in [
            lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"),
            lines.iter().enumerate().map(|(nth, line)| format!("{nth}: {line}")).collect::<Vec<_>>().join("\n"),
            lines.join("  \r\n"),
            pem.clone(),
        ] {
            let clean = redactor(value).text(&shown).into_owned();
            assert!(!lines.iter().any(|line| clean.contains(line)), "{value}: {clean}");
        }
        let listed = redacted(&json!({ "structuredContent": {"lines": lines} }), value);
        assert!(!lines.iter().any(|line| listed.contains(line)), "{listed}");
    }
    let account = account.to_string();
    let address = "see https://oauth2.example.com/token, type service_account";
    assert_eq!(redactor(&account).text(address), address);
    let url = redactor("postgres://app:p4ss-w0rd!x@db.example.com:5432/main?sslmode=require");
    assert_eq!(url.text("PGPASSWORD=p4ss-w0rd!x app@db.example.com"), "PGPASSWORD=[redacted: key] app@db.example.com");
    // As the server of the address has it.
    let url = redactor("postgres://app:p%40ss%2Fw0rd!x@db.example.com:5432/main");
    assert_eq!(
        url.text("no such password: p@ss/w0rd!x (p%40ss%2Fw0rd!x)"),
        "no such password: [redacted: key] ([redacted: key])"
    );
}

#[test]
fn a_key_file_that_was_made_one_line_is_found_in_base64() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END PRIVATE KEY-----\n";
    let redactor = redactor(pem);
    for before in ["", "k", "ke"] {
        let encoded = STANDARD.encode(format!("{before}{}", pem.replace('\n', "")));
        let clean = redactor.text(&encoded);
        assert!(clean.contains("[redacted: key]") && !clean.contains(&encoded[8..40]), "{clean}");
    }
}

#[test]
fn the_last_line_of_a_key_is_found_though_it_is_short() {
    let lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU", "R4M2bS1Aw=="];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    for value in [&pem, &json!({"type": "service_account", "private_key": pem}).to_string()] {
        let shown = lines.iter().enumerate().map(|(nth, line)| format!("{nth}: {line}")).collect::<Vec<_>>().join("\n");
        let clean = redactor(value).text(&shown).into_owned();
        assert!(!lines.iter().any(|line| clean.contains(line)), "{value}: {clean}");
    }
    // Of a text that is no key, a short last line says nothing.
    assert_eq!(redactor("a line that is long enough\nR4M2bS1Aw").text("R4M2bS1Aw"), "R4M2bS1Aw");
}

#[test]
fn bytes_as_numbers_and_in_pairs_of_digits_are_found() {
    let value = "S3cr3t-Tok3n";
    let bytes = value.as_bytes();
    let redactor = redactor(value);
    let numbers: Vec<_> = bytes.iter().map(ToString::to_string).collect();
    for mark in [" ", ":", "-"] {
        let lower: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let upper: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for hex in [lower, upper] {
            assert_eq!(redactor.text(&hex.join(mark)), "[redacted: key]");
        }
    }
    assert_eq!(redactor.text(&format!("[{}]", numbers.join(", "))), "[[redacted: key]]");
    assert_eq!(redactor.text(&format!("[{}]", numbers.join(","))), "[[redacted: key]]");
    let twice = STANDARD.encode(STANDARD.encode(value));
    assert!(!redactor.text(&twice).contains(&twice[..8]), "{twice}");
    let buffer = json!({"structuredContent": {"type": "Buffer", "data": bytes}, "other": [1, 2, 3]});
    for written in [buffer.to_string(), format!("{buffer:#}")] {
        let clean: Value = serde_json::from_str(redactor.json(raw(&written)).get()).unwrap();
        assert_eq!(
            clean,
            json!({"structuredContent": {"type": "Buffer", "data": ["[redacted: key]"]}, "other": [1, 2, 3]})
        );
    }
}

#[test]
fn a_mark_bears_plain_names_only() {
    for (name, mark) in [("stripe_key.v2-a", "[redacted: stripe_key.v2-a]"), ("a/b:c@d", "[redacted]")] {
        assert_eq!(Redactor::new(&[secret(name, "topsecret")]).unwrap().text("topsecret"), mark);
    }
}

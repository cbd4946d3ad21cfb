//! Mirrors of checkpoints: what they get, and that none of them stops the server.

use std::{fs, path::Path, process::Command};

use haldir::crypto::{Checkpoint, Note, Verifier};
use serde_json::Value;

use crate::support::{Client, House, Receiver, Reply, Server, json, text, until};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn mirroring(house: &House, targets: &[String]) -> Server {
    let mut command = house.serving();
    command.env("PATH", std::env::var_os("PATH").unwrap()).args(["--mirror-every", "1"]);
    for target in targets {
        command.args(["--mirror", target]);
    }
    Server::start(command)
}

fn size_of(note: &str, verifier: &Verifier) -> Option<u64> {
    let note = Note::parse(note).ok()?;
    verifier.verify(&note)?;
    Checkpoint::parse(&note.text).ok().map(|checkpoint| checkpoint.size)
}

fn verifier_of(operator: &Client) -> Verifier {
    Verifier::parse(&text(&operator.get("/v1/audit/keys").ok()["keys"][0], "verifier_key")).unwrap()
}

fn grow(operator: &Client) -> u64 {
    operator.session(&json!({}));
    operator.log_size().cast_unsigned()
}

#[test]
fn checkpoints_reach_a_file_an_archiver_and_a_git_repository_and_one_that_fails_stops_nothing() {
    let house = House::new();
    let repository = house.folder().join("repository");
    fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet"]);
    let (file, archiver) = (house.folder().join("checkpoints.jsonl"), Receiver::new());
    let server = mirroring(
        &house,
        &[
            "git:/nowhere/at/all".to_owned(),
            format!("file:{}", file.display()),
            archiver.url(),
            format!("git:{}", repository.display()),
        ],
    );
    let operator = server.first_key();
    let verifier = verifier_of(&operator);
    until("the log says why one fails", || {
        let says_why = |line: &str| line.contains("git:/nowhere/at/all") && line.contains("No such file");
        grow(&operator);
        server.process.errors().lines().any(says_why)
    });
    for _ in 0..2 {
        let size = Some(grow(&operator));
        until("the file's line", || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.next_back().is_some_and(|line| {
                let note = line["checkpoint"].as_str().unwrap();
                assert_eq!(line["tree_size"].as_u64(), size_of(note, &verifier));
                line["tree_size"].as_u64() == size
            })
        });
        archiver
            .wait_until("the checkpoint", |got| got.last().is_some_and(|got| size_of(&got.body, &verifier) == size));
        until("the commit", || {
            let names = git(&repository, &["ls-files"]);
            let Some(name) = names.lines().find(|name| name.ends_with(".checkpoint")) else { return false };
            let shown = Command::new("git").current_dir(&repository).args(["show", &format!("HEAD:{name}")]).output();
            shown.is_ok_and(|shown| size_of(&String::from_utf8_lossy(&shown.stdout), &verifier) == size)
        });
    }
    assert!(git(&repository, &["log", "--format=%an %s"]).starts_with("haldir haldir/"));
    let size = operator.log_size();
    // Each round begins with the mirror that fails, and says so again. When a third round begins, a second is over.
    let rounds = || server.process.errors().matches("git:/nowhere/at/all").count();
    let after_two_rounds = || {
        let before = rounds();
        until("two more rounds", || rounds() >= before + 2);
    };
    after_two_rounds();
    assert_eq!(git(&repository, &["status", "--porcelain"]), "");
    let commits = git(&repository, &["rev-list", "--count", "HEAD"]);
    after_two_rounds();
    assert_eq!(git(&repository, &["rev-list", "--count", "HEAD"]), commits, "a log that rests is not copied again");
    assert_eq!(operator.log_size(), size);
    assert!(server.process.errors().contains("git:/nowhere/at/all"), "{}", server.process.errors());
}

#[test]
fn an_archiver_that_was_away_gets_the_checkpoint_later_and_an_address_inside_is_not_called() {
    let house = House::new();
    let archiver = Receiver::new();
    archiver.then([Reply::status(503), Reply::status(302)]);
    let inside = Receiver::new();
    let inside_url = inside.url().replace("127.0.0.1", "127.0.0.2");
    let server = mirroring(&house, &[archiver.url() + "?token=keep-this", inside_url]);
    let operator = server.first_key();
    let verifier = verifier_of(&operator);
    let size = Some(grow(&operator));
    archiver.wait_until("the third try", |got| got.len() >= 3 && size_of(&got[got.len() - 1].body, &verifier) == size);
    until("the refusal", || server.process.errors().contains("mirror=http://127.0.0.2"));
    assert!(inside.got().is_empty());
    assert!(!server.process.errors().contains("keep-this"), "{}", server.process.errors());
}

#[test]
fn a_log_that_was_rewritten_is_not_mirrored_again() {
    let house = House::new();
    let file = house.folder().join("checkpoints.jsonl");
    let server = mirroring(&house, &[format!("file:{}", file.display())]);
    let operator = server.first_key();
    // One more entry completes a subtree: a proof from here on needs the leaves.
    let size = std::iter::repeat_with(|| grow(&operator)).find(|size| size % 4 == 3).unwrap();
    let lines = || fs::read_to_string(&file).unwrap_or_default();
    until("the checkpoint", || lines().contains(&format!("\"tree_size\":{size}")));
    // The tree's first leaf: no proof leads from what was mirrored to what comes.
    house.change("UPDATE audit_entries SET actor = 'nobody' WHERE place = 1");
    let before = lines();
    grow(&operator);
    until("the report", || server.process.errors().contains("the log is not mirrored"));
    assert_eq!(lines(), before);
}

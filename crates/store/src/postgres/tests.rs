//! Tests against a server that [`SERVER`] names.

use std::{env, process::Command};

use futures::executor::block_on;
use tokio_postgres::types::Type;

use super::*;
use crate::tables;

/// The variable that names a server to test: `postgres://USER@HOST:PORT/DATABASE`.
const SERVER: &str = "HALDIR_TEST_POSTGRES";

/// A database of its own for one test.
struct Database {
    server: String,
    name: String,
}

impl Database {
    /// `None`, and a word about it, where there is no server.
    fn create(name: &str) -> Option<Self> {
        let Ok(server) = env::var(SERVER) else {
            eprintln!("left out: {SERVER} names no server");
            return None;
        };
        let name = format!("haldir_store_{name}_{}", std::process::id());
        assert!(Command::new("createdb").args(["--maintenance-db", &server, &name]).status().unwrap().success());
        Some(Self { server, name })
    }

    fn settings(&self) -> PostgresSettings {
        let (address, _) = self.server.rsplit_once('/').unwrap();
        PostgresSettings::parse(&format!("{address}/{}", self.name)).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = Command::new("dropdb").args(["--force", "--maintenance-db", &self.server, &self.name]).status();
        assert!(dropped.unwrap().success());
    }
}

#[test]
fn the_database_understands_every_statement() {
    let Some(database) = Database::create("statements") else { return };
    let server = Server::start(database.settings()).unwrap();
    migrations::up(&server).unwrap();
    let client = server.connect().map_err(|failure| failure.error).unwrap();
    let mut refused = Vec::new();
    for (name, sql) in tables::ALL.concat() {
        let text = dialect::translate(sql);
        // Where a parameter may be null, its type does not follow from the statement; the connection always gives it.
        let types: &[Type] = match name {
            "FORWARD" | "FORWARD_FLAGGED" | "BACKWARD" | "BACKWARD_FLAGGED" => {
                &[Type::TEXT, Type::INT8, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8]
            }
            "DECIDED_OF_AGENT" => &[Type::TEXT, Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::TEXT],
            _ => &[],
        };
        if let Err(error) = block_on(client.prepare_typed(&text, types)) {
            refused.push(format!("{name}: {}\n{text}", error_text(&error)));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
}

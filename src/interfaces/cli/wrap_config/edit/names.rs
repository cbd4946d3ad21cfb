//! Under which names upstreams are wrapped.

use std::collections::HashMap;

use crate::{
    crypto,
    interfaces::cli::clients::{
        launch::{self, LaunchCommand},
        servers::Servers,
    },
};

/// The longest name of an upstream that is made of a server's.
const MAX_NAME: usize = 48;

/// The names of upstreams in one file: two servers with one name would be taken for one whose tools keep changing.
pub struct Names(HashMap<String, Vec<String>>);

impl Names {
    /// Those that entries have already.
    pub fn of(servers: &Servers<'_>) -> Self {
        let mut names = HashMap::new();
        for (_, entry) in servers {
            let words = LaunchCommand::of(entry).map(|launch| launch.words()).unwrap_or_default();
            if let Some(wrapped) = launch::wrapped(&words)
                && let Some(name) = wrapped.name
            {
                names.insert(name.to_owned(), owned(&words[wrapped.program..]));
            }
        }
        Self(names)
    }

    /// The name of a server's upstream: its own as upstreams may be called, and a digest behind it where another server has
    /// that name, or where nothing is left of its own.
    pub fn for_server(&mut self, server: &str, words: &[&str]) -> String {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c.to_ascii_lowercase() } else { '-' };
        let name: String = server.chars().map(plain).take(MAX_NAME).collect();
        let name = name.trim_matches(['-', '_']);
        let name = if name.is_empty() { "server" } else { name };
        let is_free = self.0.get(name).is_none_or(|taken| *taken == owned(words));
        let name = if is_free && server.chars().any(|c| c.is_ascii_alphanumeric()) {
            name.to_owned()
        } else {
            let digest = crypto::digest(&[server.as_bytes(), &[0], words.join("\0").as_bytes()]);
            format!("{name}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
        };
        self.0.insert(name.clone(), owned(words));
        name
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

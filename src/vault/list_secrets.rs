//! `listSecrets`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    error::Result,
    model::SecretName,
};

/// Names in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the names of the secrets in the vault, never their values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSecrets {
    /// How many at most. Default 1000.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 1_000))]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<SecretName>,
}

/// A page of names.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretList {
    /// How many are in this answer.
    pub count: usize,
    /// In alphabetical order.
    pub secrets: Vec<SecretName>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

impl ReadOperation for ListSecrets {
    type Output = SecretList;

    fn run(self, cx: &ReadContext<'_>) -> Result<SecretList> {
        let limit = page_size(Some(self.limit.unwrap_or(MAX_LIMIT)), MAX_LIMIT)?;
        let after = self.cursor.map_or_else(String::new, |name| name.to_string());
        let mut secrets = cx.tx.secret_names(&cx.caller.tenant, &after, limit + 1)?;
        let next_cursor = cut(&mut secrets, limit, ToString::to_string);
        Ok(SecretList { count: secrets.len(), secrets, next_cursor })
    }
}

//! `cedar`: a policy set that people write in Cedar, <https://cedarpolicy.com>.
//!
//! Each policy of this type is one policy set, and says yes or no by Cedar's own rules: a forbid that matches refuses, and
//! so does a set in which no permit matches. Among the other policies it is one that must let the call pass, so adding a
//! set never allows more than before.
//!
//! It is part of a build with the feature `cedar` only: Cedar and what only it needs take about a quarter of the time in which
//! the dependencies compile. A build without it adds no such policy, and refuses every call where the store has one.

#[cfg(feature = "cedar")]
mod engine;
#[cfg(feature = "cedar")]
pub use engine::check;
#[cfg(feature = "cedar")]
pub(super) use engine::judge;

#[cfg(not(feature = "cedar"))]
mod left_out;
#[cfg(not(feature = "cedar"))]
pub use left_out::check;
#[cfg(not(feature = "cedar"))]
pub(super) use left_out::judge;

/// The schema that policies are validated against.
pub const SCHEMA: &str = include_str!("../../../schemas/haldir.cedarschema");
/// Policy sets of a tenant. They are read with each call.
pub const MAX_SETS: usize = 16;
/// The largest text of one, in bytes.
pub const MAX_BYTES: usize = 32_768;
/// The field of the input that holds the text.
const FIELD: &str = "cedar";

//! `cedar`: a policy set in Cedar, <https://cedarpolicy.com>.
//!
//! Each policy of this type is one policy set, evaluated by Cedar's rules: a matching forbid refuses, and so does a set without
//! a matching permit. It is one of the policies that must all let the call pass, so adding a set never allows more than before.
//!
//! Only builds with the feature `cedar` have it: Cedar and its dependencies take about a quarter of the time to compile all
//! dependencies. A build without it adds no such policy, and refuses every call if the store has one.

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

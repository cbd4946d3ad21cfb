//! What every layer of haldir uses: the error type, ids, time, money, scopes, records, cryptography and counters.
//! Pure: no I/O, no database, no clock but the injected one.

/// Gives a type a JSON schema that stands in place wherever the type is used, instead of among the definitions.
#[macro_export]
macro_rules! inline_schema {
    ($type:ty, $name:expr, |$generator:pat_param| $schema:expr) => {
        impl ::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema($generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $schema
            }
        }
    };
}

pub mod crypto;
pub mod error;
pub mod metrics;
pub mod model;

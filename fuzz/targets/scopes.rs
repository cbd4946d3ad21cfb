//! Scopes as clients write them: a scope that is read is written as it was, and holds itself.
#![no_main]

use haldir_core::model::{Scope, Scopes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(scopes) = Scopes::parse_list(text) else { return };
    for scope in scopes.iter() {
        assert!(scope.holds(scope) && scopes.hold(scope) && scopes.hold_named(scope.as_str()));
        assert_eq!(Scope::parse(scope.as_str()).as_ref(), Ok(scope));
        let _ = scope.budget();
    }
});

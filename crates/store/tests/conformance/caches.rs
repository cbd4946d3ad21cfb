//! Whatever a process remembers, it answers with what the database says.

use std::sync::Arc;

use haldir_core::{
    error::Error,
    model::{Money, Session, TenantId, UnixMicros},
};
use proptest::prelude::*;

use super::support::{Database, begun, id};

/// What an expensive test does: `usual` by default, `whole` with `HALDIR_TEST_LONG=1`.
fn long<T>(usual: T, whole: T) -> T {
    if std::env::var_os("HALDIR_TEST_LONG").is_some_and(|value| value == "1") { whole } else { usual }
}

/// What one of two stores does with one of two sessions.
#[derive(Clone, Copy, Debug)]
enum Step {
    Look,
    Log(i64),
    Spend(i64),
    Revoke,
    LogAndFail,
}

fn steps() -> impl Strategy<Value = Vec<(usize, usize, Step)>> {
    let step = prop_oneof![
        4 => Just(Step::Look),
        4 => (0..9i64).prop_map(Step::Log),
        1 => (0..9i64).prop_map(Step::Spend),
        1 => Just(Step::Revoke),
        1 => Just(Step::LogAndFail),
    ];
    proptest::collection::vec((0..2usize, 0..2usize, step), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(long(6, 24)))]

    /// Two processes, each with caches of its own: whatever either does, both see what a third sees that has just started.
    #[test]
    fn what_is_remembered_is_what_the_database_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let database = Database::new();
        let stores = [database.open(), database.open()];
        let tenant = TenantId::local();
        let names = ["a", "b"];
        runtime.block_on(async {
            for name in names {
                let begin = stores[0]
                    .write(&tenant, move |tx| Ok(tx.insert_session(&TenantId::local(), &begun(name, None))?));
                begin.await.unwrap();
            }
            for (store, which, step) in steps {
                let name = names[which];
                let written = stores[store].write(&tenant, move |tx| {
                    let owner = TenantId::local();
                    match step {
                        Step::Look => Ok(()),
                        Step::Log(cost) => {
                            Ok(tx.count_action(&owner, &begun(name, None), "tool", Money::from_nanos(cost)).map(drop)?)
                        }
                        Step::Spend(amount) => Ok(tx.set_spent(&owner, &id(name), Money::from_nanos(amount))?),
                        Step::Revoke => Ok(tx.revoke_session(&owner, &id(name), UnixMicros(2))?),
                        Step::LogAndFail => {
                            tx.count_action(&owner, &begun(name, None), "tool", Money::from_nanos(1))?;
                            Err(Error::internal("on purpose"))
                        }
                    }
                });
                assert_eq!(written.await.is_err(), matches!(step, Step::LogAndFail));
                let started = database.open();
                for name in names {
                    let seen = |session: Option<Arc<Session>>| {
                        let session = session.unwrap();
                        (session.logged_cost, session.action_count, session.spent, session.revoked_at)
                    };
                    let stored = started.read(|tx| Ok(tx.session(&tenant, &id(name))?)).map(seen).unwrap();
                    for store in &stores {
                        // Twice: the second look may be answered from memory.
                        for _ in 0..2 {
                            assert_eq!(store.read(|tx| Ok(tx.session(&tenant, &id(name))?)).map(seen).unwrap(), stored);
                        }
                    }
                }
            }
        });
    }
}

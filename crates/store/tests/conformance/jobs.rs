//! Leases of background jobs.

use haldir_core::model::UnixMicros;
use haldir_store::Store;

use super::support::Database;

const NOW: UnixMicros = UnixMicros(1_000);
const LATER: UnixMicros = UnixMicros(2_000);

async fn take(store: &Store, holder: &'static str, now: UnixMicros, until: UnixMicros) -> bool {
    store.write_for_all(move |tx| Ok(tx.take_job("job", holder, now, until)?)).await.unwrap()
}

#[tokio::test]
async fn a_job_is_one_holders_until_its_lease_ends_or_is_released() {
    let database = Database::new();
    let (one, other) = (database.open(), database.open());
    assert!(take(&one, "one", NOW, LATER).await);
    assert!(!take(&other, "other", UnixMicros(1_999), UnixMicros(9_000)).await);
    assert!(take(&one, "one", NOW, UnixMicros(3_000)).await, "it is renewed");
    assert!(!take(&other, "other", LATER, UnixMicros(9_000)).await);
    // Released by another than its holder it is kept.
    let release = |holder: &'static str| other.write_for_all(move |tx| Ok(tx.release_job("job", holder)?));
    release("other").await.unwrap();
    assert!(!take(&other, "other", LATER, UnixMicros(9_000)).await);
    assert!(take(&other, "other", UnixMicros(3_000), UnixMicros(9_000)).await, "its holder has died");
    assert!(!take(&one, "one", UnixMicros(3_001), UnixMicros(9_000)).await);
    release("other").await.unwrap();
    assert!(take(&one, "one", UnixMicros(3_002), UnixMicros(9_000)).await);
}

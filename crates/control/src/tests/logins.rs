//! What a login leaves behind.

use std::path::Path;

use keysherd_store::{Reader, audit};
use tokio::task::JoinSet;

use crate::testing::{World, item};
use keysherd_plane::auth::{Login, LoginSubject, PURPOSE_LOGIN};
use keysherd_plane::auth_methods::MethodGet;

/// Logins, unless the variable says otherwise.
const LOGINS: usize = 2_000;
const LOGINS_VARIABLE: &str = "KEYSHERD_TEST_LOGINS";
/// Logins under way at one time.
const AT_ONCE: usize = 250;

fn store_bytes(home: &Path) -> u64 {
    let database = home.join("store/control.db");
    let log = home.join("store/control.db-wal");
    [database, log].iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_in_stores_its_audit_record_and_nothing_else() {
    let given = std::env::var(LOGINS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let logins: usize = given.unwrap_or(LOGINS);
    let world = World::new().await;
    let (access_id, key) = world.api_key("/ci", Default::default()).await;
    let subject = LoginSubject::AccessId(access_id);
    let before = (store_bytes(world.home()), world.control.store.stats());
    let mut running = JoinSet::new();
    let mut last = String::new();
    for _ in 0..logins {
        if running.len() >= AT_ONCE {
            last = running.join_next().await.unwrap().unwrap();
        }
        let proof = world.proof(PURPOSE_LOGIN, &subject, &key);
        let login = Login { subject: subject.clone(), proof, otp: None };
        let (control, caller) = (world.control.clone(), world.caller(""));
        running.spawn(async move {
            let plane = control.plane_for(crate::testing::GATEWAY);
            plane.ask(caller, login).await.unwrap().token
        });
    }
    while let Some(token) = running.join_next().await {
        last = token.unwrap();
    }
    let after = (store_bytes(world.home()), world.control.store.stats());
    let records = after.1.records - before.1.records;
    assert_eq!(records, logins as u64, "one record for each login");
    assert_eq!(after.1.jobs, before.1.jobs, "no login changed anything else");
    let account = world.first.id;
    let read = |reader: &Reader| audit::records(reader, account, 0, 100_000);
    let stored = world.control.store.read(read).unwrap();
    let record = stored.iter().map(|record| record.bytes.len()).max().unwrap();
    let grown = (after.0 - before.0) / logins as u64;
    println!("{logins} logins: {grown} bytes each; the longest record has {record} bytes");
    // The log that precedes the database, which a checkpoint empties, is part of what is measured.
    assert!(logins < 10_000 || grown < 2 * record as u64 + 100, "{grown} bytes for each login");
    world.ask(&last, MethodGet { path: item("/ci") }).await.unwrap_err();
}

//! A worker with a scripted control plane and a scripted target, on a clock that is moved.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_api::Forwarder;
use keysherd_audit::{Draft, Filter, HashFn, Link, NO_LINK, Record, chain};
use keysherd_base::{AccountId, Fault, ManualClock, Rng, RngFailed, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_egress::Egress;
use keysherd_plane::audit_log::{AuditFollowReply, FollowedRecord};
use keysherd_plane::{BoxFuture, Caller, Plane, RecordReply, RecordRequest, Reply, Request};
use keysherd_sinks::{Batch, Format, Outlet, Receiver, Undelivered, Way, by_name};
use tempfile::TempDir;

use super::cursor::{Cursor, CursorFile};
use super::place::Keeper;
use super::reader::LogToken;
use super::worker::{SharedState, Worker};

const ACCOUNT: AccountId = AccountId(Uid([1; 16]));
const HASH: HashFn = sha256;
const DAY: Duration = Duration::from_secs(86_400);

struct NoChance;

impl Rng for NoChance {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(255);
        Ok(())
    }
}

/// A log that can be asked for.
#[derive(Default)]
struct Log {
    records: Mutex<Vec<FollowedRecord>>,
    /// How often it was read, and whether it refuses.
    asked: Mutex<(usize, Option<Fault>)>,
}

impl Log {
    fn add(&self, count: u64) {
        let mut records = self.records.lock().unwrap();
        for _ in 0..count {
            let seq = records.len() as u64 + 1;
            let link = records.last().map_or(NO_LINK, |last| last.link);
            records.push(record(seq, &link, "describe_item"));
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().0
    }
}

fn record(seq: u64, before: &Link, action: &'static str) -> FollowedRecord {
    let draft = Draft::new(ACCOUNT, Uid([2; 16]), "x".into(), action, Timestamp(0));
    let (time, error) = (Timestamp(1), None);
    let record = Record { seq, time, status: 200, error, duration_us: 1_000, draft };
    let bytes = record.encode();
    let link = chain::link(HASH, before, seq, &bytes);
    FollowedRecord { seq, link, record: String::from_utf8(bytes).unwrap() }
}

impl Plane for Log {
    fn call(&self, _: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        let Request::Records(RecordRequest::AuditFollow(wish)) = request else {
            panic!("{request:?}")
        };
        let mut asked = self.asked.lock().unwrap();
        asked.0 += 1;
        let refused = asked.1.clone();
        let records = self.records.lock().unwrap();
        let newest = records.last().map_or(0, |last| last.seq);
        let previous = match wish.after {
            0 => Some(NO_LINK),
            after => records.iter().find(|record| record.seq == after).map(|record| record.link),
        };
        let next = records.iter().filter(|record| record.seq > wish.after).take(1_000);
        let records = next.cloned().collect();
        let reply =
            AuditFollowReply { account: ACCOUNT, previous, records, newest, more_rights: false };
        Box::pin(
            async move { refused.map_or(Ok(Reply::Records(RecordReply::AuditFollow(reply))), Err) },
        )
    }
}

struct Token;

impl LogToken for Token {
    fn token(&self) -> BoxFuture<'_, Result<Arc<str>, Fault>> {
        Box::pin(async { Ok("t-x".into()) })
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What the target does next; when nothing is said, it takes everything.
#[derive(Clone, Debug)]
enum Does {
    Fails,
    Refuses,
    Hangs,
    TakesAtMost(usize),
}

#[derive(Default)]
struct Target {
    does: Mutex<VecDeque<Does>>,
    always: Mutex<Option<Does>>,
    got: Mutex<Vec<u64>>,
    attempts: Mutex<usize>,
}

struct Hose(Arc<Target>);

impl Outlet for Hose {
    fn receivers(&self) -> Vec<Receiver> {
        Vec::new()
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            *self.0.attempts.lock().unwrap() += 1;
            let next = self.0.does.lock().unwrap().pop_front();
            let always = self.0.always.lock().unwrap().clone();
            let why = "no".to_owned();
            match next.or(always) {
                Some(Does::Fails) => return Err(Undelivered::Later { why, after: None }),
                Some(Does::Refuses) => return Err(Undelivered::Refused { why }),
                Some(Does::Hangs) => std::future::pending().await,
                Some(Does::TakesAtMost(most)) if batch.lines.len() > most => {
                    return Err(Undelivered::TooLarge);
                }
                _ => {}
            }
            self.0.got.lock().unwrap().extend(batch.lines.iter().map(|line| line.seq()));
            Ok(())
        })
    }
}

/// Lets time go by on the paused clock: as long as anybody has something to do, it stands still.
async fn pass(time: Duration) {
    let never = std::future::pending::<()>();
    assert!(tokio::time::timeout(time, never).await.is_err());
}

struct Bench {
    dir: TempDir,
    log: Arc<Log>,
    target: Arc<Target>,
}

impl Bench {
    fn new(records: u64) -> Self {
        let log = Arc::new(Log::default());
        log.add(records);
        let dir = tempfile::tempdir().unwrap();
        Self { dir, log, target: Arc::default() }
    }

    fn file(&self) -> CursorFile {
        CursorFile::new(self.dir.path(), ACCOUNT, "main")
    }

    fn start(&self, filter: Filter) -> (SharedState, tokio::task::JoinHandle<()>) {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let (rng, egress) = (Arc::new(NoChance), Egress::default());
        let way = Way::new(clock, rng, egress);
        let forwarder = Forwarder {
            name: "main".to_owned(),
            enabled: true,
            sink: by_name("stdout").unwrap(),
            format: Format::Json,
            pull_seconds: 10,
            filter: filter.clone(),
            settings: keysherd_sinks::Settings::default(),
            begin: None,
            place_key: None,
        };
        let (cursor, _) = self.file().read();
        let state = SharedState::new(&forwarder, &cursor);
        let worker = Worker {
            account: ACCOUNT,
            format: forwarder.format,
            pull_seconds: forwarder.pull_seconds,
            filter,
            plane: self.log.clone(),
            token: Arc::new(Token),
            way,
            outlet: Box::new(Hose(self.target.clone())),
            keeper: Keeper::File(self.file()),
            cursor,
            state: state.clone(),
        };
        (state, tokio::spawn(worker.run()))
    }

    fn got(&self) -> Vec<u64> {
        self.target.got.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn two_dead_days_lose_nothing_and_keep_one_page() {
    let bench = Bench::new(2_500);
    *bench.target.always.lock().unwrap() = Some(Does::Fails);
    let (state, task) = bench.start(Filter::default());
    pass(2 * DAY).await;
    bench.log.add(500);
    assert_eq!(bench.log.asked(), 1, "one page waits in memory, the rest where it is");
    let attempts = *bench.target.attempts.lock().unwrap();
    assert!((2_000..8_000).contains(&attempts), "about one each minute: {attempts}");
    assert_eq!((state.get().delivered, state.get().trouble.as_str()), (0, "no"));
    *bench.target.always.lock().unwrap() = None;
    pass(Duration::from_secs(90)).await;
    assert_eq!(bench.got(), (1..=3_000).collect::<Vec<_>>(), "all of it, once, in order");
    assert_eq!((state.get().delivered, state.get().failures), (3_000, 0));
    assert!(state.get().trouble.is_empty());
    task.abort();
    // A restart goes on from there.
    bench.log.add(2);
    let (_, task) = bench.start(Filter::default());
    pass(Duration::from_secs(1)).await;
    assert_eq!(bench.got()[3_000..], [3_001, 3_002]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_refuses_or_takes_little_gets_everything_in_the_end() {
    let bench = Bench::new(40);
    let does = [Does::Hangs, Does::Refuses, Does::Fails, Does::TakesAtMost(7)];
    bench.target.does.lock().unwrap().extend(does);
    *bench.target.always.lock().unwrap() = Some(Does::TakesAtMost(7));
    let (state, task) = bench.start(Filter::default());
    pass(Duration::from_secs(600)).await;
    assert_eq!(bench.got(), (1..=40).collect::<Vec<_>>());
    // A single record that is too long stops at itself, visibly.
    *bench.target.always.lock().unwrap() = Some(Does::TakesAtMost(0));
    bench.log.add(1);
    pass(Duration::from_secs(600)).await;
    assert!(state.get().trouble.contains("record 41 is too long"), "{}", state.get().trouble);
    assert_eq!(state.get().delivered, 40);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_refuses_or_lies_is_told() {
    let bench = Bench::new(20);
    bench.log.asked.lock().unwrap().1 = Some(Fault::unauthorized("not you"));
    let (state, task) = bench.start(Filter::default());
    pass(Duration::from_secs(60)).await;
    assert!(state.get().trouble.contains("not you"), "{}", state.get().trouble);
    bench.log.asked.lock().unwrap().1 = None;
    pass(Duration::from_secs(90)).await;
    assert_eq!((bench.got().len(), state.get().findings), (20, 0));
    // One record is left out, and those behind it are chained anew.
    {
        let mut records = bench.log.records.lock().unwrap();
        let link = records.last().unwrap().link;
        records.push(record(22, &link, "describe_item"));
    }
    pass(Duration::from_secs(20)).await;
    assert_eq!(state.get().findings, 1);
    assert!(state.get().finding.contains("21 to 21 are missing"), "{}", state.get().finding);
    assert_eq!(bench.got().last(), Some(&22), "what there is goes on");
    // What was sent is rewritten.
    {
        let mut records = bench.log.records.lock().unwrap();
        records.truncate(5);
        let mut link = records.last().unwrap().link;
        for seq in 6..=30 {
            let next = record(seq, &link, "get_item");
            link = next.link;
            records.push(next);
        }
    }
    bench.target.got.lock().unwrap().clear();
    pass(Duration::from_secs(60)).await;
    assert!(state.get().findings > 1);
    assert!(state.get().finding.contains("not the one that was sent"), "{}", state.get().finding);
    // Places are remembered at the ends of batches only; the first is the beginning.
    assert_eq!(bench.got(), (1..=30).collect::<Vec<_>>());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_leaves_out_counts_as_delivered() {
    let bench = Bench::new(1_500);
    let filter = Filter { action: Some("get_item".to_owned()), ..Filter::default() };
    {
        let mut records = bench.log.records.lock().unwrap();
        let link = records.last().unwrap().link;
        records.push(record(1_501, &link, "get_item"));
    }
    let (state, task) = bench.start(filter);
    pass(Duration::from_secs(5)).await;
    assert_eq!(bench.got(), [1_501]);
    assert_eq!(state.get().delivered, 1_501);
    assert_eq!(bench.file().read().0.at.seq, 1_501);
    let mut early = Cursor::before(1_400);
    early.at.link = None;
    task.abort();
    // Told to begin somewhere, it trusts the link that is there.
    bench.file().write(&early).unwrap();
    let (state, task) = bench.start(Filter::default());
    pass(Duration::from_secs(5)).await;
    assert_eq!(bench.got()[1..], (1_400..=1_501).collect::<Vec<_>>());
    assert_eq!(state.get().findings, 0);
    task.abort();
}

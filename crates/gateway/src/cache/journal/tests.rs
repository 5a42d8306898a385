//! What is counted as waiting, and what is brought.

use std::sync::atomic::AtomicBool;

use keysherd_base::{FaultKind, ManualClock};
use keysherd_crypto::random::SystemRng;
use keysherd_plane::cache::{JournalPut, JournalPutReply};
use keysherd_plane::{BoxFuture, Caller, GatewayReply, GatewayRequest, Plane, Reply, Request};

use super::*;

fn shared(dir: &Path) -> Arc<Shared> {
    Arc::new(Shared {
        dir: dir.to_owned(),
        waiting_bytes: watch::Sender::new(0),
        shares: Mutex::default(),
        share_max: Share { file: 100_000, log: 30_000 },
        active: Mutex::default(),
        written: Notify::new(),
        aside: Mutex::default(),
        refused: AtomicU64::new(0),
        unproven: AtomicU64::new(0),
        ended: watch::Sender::new(false),
        hurry: Notify::new(),
        lock: lock(&dir.join(LOCK)).unwrap(),
    })
}

fn entry(account: u8) -> Entry {
    Entry {
        account: Uid([account; 16]),
        receipt: Receipt { bytes: Arc::from([account; 300]) },
        at: Timestamp(1),
        request: RequestId::default(),
        offline: false,
    }
}

fn waiting() -> Waiting {
    Waiting { entry: entry(7), done: oneshot::channel().0 }
}

#[test]
fn files_that_were_given_back_are_free_although_somebody_has_a_copy_of_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let used = shared(dir.path());
    let lock_there = || lock(&dir.path().join(LOCK));
    assert!(lock_there().is_err());
    // As a process has that is being started.
    let _copy = used.lock.try_clone().unwrap();
    drop(used);
    lock_there().unwrap();
}

/// Space comes and goes: a file is begun, and what belongs into it does not fit.
#[test]
fn what_could_not_be_written_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(dir.path());
    let mut writer = Writer { shared: shared.clone(), rng: SystemRng::handle(), open: None };
    for _ in 0..1_000 {
        let (_, segment) = writer.begin().unwrap();
        let name = dir.path().join(file_name(segment.journal()));
        // One that cannot be written to stands for a full disk.
        writer.open = Some((File::open(&name).unwrap(), segment));
        writer.write(&[waiting(), waiting()]).unwrap_err();
        let length = name.metadata().unwrap().len();
        assert_eq!(*shared.waiting_bytes.borrow(), length, "the head is on disk");
        // As the delivery does with a file that nobody writes to.
        std::fs::remove_file(name).unwrap();
        shared.discount(length);
    }
    assert_eq!(*shared.waiting_bytes.borrow(), 0);
    writer.write(&[waiting()]).unwrap();
    let active = shared.active.lock().unwrap().unwrap();
    assert_eq!(*shared.waiting_bytes.borrow(), active.1);
}

/// Whoever reads without end while control is away, or with receipts that become long records.
#[tokio::test]
async fn one_account_leaves_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(dir.path());
    let (queue, waiting) = sync_channel(WAITING_MAX);
    let writer = Writer { shared: shared.clone(), rng: SystemRng::handle(), open: None };
    let thread = thread::spawn(move || writer.run(&waiting));
    let journal = Journal { queue, shared: shared.clone() };
    for _ in 0..60 {
        assert!(journal.append(entry(1)).await);
    }
    // Sixty records of 500 bytes are what it may have; on disk they are a tenth.
    assert!(!journal.append(entry(1)).await);
    assert!(journal.waiting_bytes() < 10_000);
    assert!(journal.append(entry(2)).await, "another account");
    let (id, _) = shared.active.lock().unwrap().unwrap();
    shared.shares().end(id);
    assert!(journal.append(entry(1)).await, "control has them");
    drop(journal);
    thread.join().unwrap();
}

/// A control that takes everything, or is in trouble.
#[derive(Default)]
struct Taking {
    said: Mutex<Vec<JournalPut>>,
    trouble: AtomicBool,
}

impl Taking {
    fn take_said(&self) -> Vec<JournalPut> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Plane for Taking {
    fn call(&self, _: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        let Request::Gateways(GatewayRequest::JournalPut(put)) = request else {
            panic!("not brought")
        };
        let taken = put.first + put.reads.len() as u64 - 1;
        self.said.lock().unwrap().push(put);
        Box::pin(async move {
            if self.trouble.load(Ordering::SeqCst) {
                return Err(Fault::new(FaultKind::Unavailable, "its database is gone"));
            }
            let reply = JournalPutReply { taken, aside: Vec::new(), unproven: 0 };
            Ok(Reply::Gateways(GatewayReply::JournalPut(reply)))
        })
    }
}

/// A file of so many reads that an earlier process left; its name.
fn left(dir: &Path, journal: u8, reads: u8) -> PathBuf {
    let journal = Uid([journal; 16]);
    let (mut segment, mut bytes) = Segment::begin(journal);
    for number in 0..reads {
        segment.put(&Entry { request: Uid([number; 16]), ..entry(7) }, &mut bytes);
    }
    let path = dir.join(file_name(journal));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn deliver(shared: &Arc<Shared>, plane: &Arc<Taking>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1)));
    tokio::spawn(deliver::deliver(shared.clone(), plane.clone(), clock));
}

/// By the clock of the runtime, which stands still while somebody works if it is paused.
async fn pass(time: Duration) {
    let never = std::future::pending::<()>();
    let _over = tokio::time::timeout(time, never).await;
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        pass(Duration::from_millis(5)).await;
    }
    panic!("{what}");
}

/// A control that lost its database is asked now and then, not about each file each second.
#[tokio::test(start_paused = true)]
async fn a_control_in_trouble_is_left_alone_for_longer_and_longer() {
    let dir = tempfile::tempdir().unwrap();
    for journal in 1..=20 {
        left(dir.path(), journal, 2);
    }
    let (shared, plane) = (shared(dir.path()), Arc::new(Taking::default()));
    plane.trouble.store(true, Ordering::SeqCst);
    deliver(&shared, &plane);
    pass(Duration::from_millis(900)).await;
    assert_eq!(plane.take_said().len(), 1, "the first round");
    pass(Duration::from_secs(60)).await;
    let asked = plane.take_said().len();
    assert!((3..=7).contains(&asked), "{asked} messages in a minute");
    pass(Duration::from_secs(600)).await;
    let asked = plane.take_said().len();
    assert!((18..=21).contains(&asked), "{asked} messages in ten minutes");
    // It is there again, and somebody notices: nothing waits for the rest of the pause.
    plane.trouble.store(false, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    shared.hurry.notify_one();
    until("all is brought", || files::list(dir.path()).unwrap() == [LOCK]).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    shared.ended.send_replace(true);
}

/// One flipped bit costs one read, not the file, and somebody is told.
#[tokio::test]
async fn what_follows_damage_is_brought_and_the_damaged_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = left(dir.path(), 1, 100);
    let mut bytes = std::fs::read(&path).unwrap();
    // The last octet of the 50th read.
    let read = (bytes.len() - 21 - 12 - 301) / 100;
    let place = bytes.len() - 50 * read - 1;
    bytes[place] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let shared = shared(dir.path());
    shared.count(bytes.len() as u64);
    let plane = Arc::new(Taking::default());
    deliver(&shared, &plane);
    until("it is brought", || !path.exists()).await;
    let said = plane.take_said();
    let brought: Vec<u8> =
        said.iter().flat_map(|put| &put.reads).map(|read| read.request.0[0]).collect();
    let wanted: Vec<u8> = (0..100).filter(|number| *number != 49).collect();
    assert_eq!(brought, wanted);
    assert_eq!(*shared.waiting_bytes.borrow(), 0);
    let kept = path.with_extension("reads.damaged");
    assert_eq!(std::fs::read(&kept).unwrap(), bytes, "what was damaged is there to be looked at");
    shared.written.notify_one();
    until("it is counted", || shared.refused.load(Ordering::Relaxed) == 1).await;
    // A head that is damaged: nothing in it is believed, and it is kept as well.
    let path = left(dir.path(), 2, 3);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    shared.written.notify_one();
    until("it is counted", || {
        shared.written.notify_one();
        shared.refused.load(Ordering::Relaxed) == 2
    })
    .await;
    assert!(!path.exists());
    assert!(plane.take_said().iter().all(|put| put.reads.is_empty()));
    shared.ended.send_replace(true);
}

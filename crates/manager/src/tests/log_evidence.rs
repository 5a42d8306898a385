//! Attack 22 as a gateway sees it, and that nothing leaves before it is in the log.

use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use keysherd_base::Uid;
use keysherd_fragments::checkpoint::follows;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;
use tokio::sync::mpsc;

use super::rig::{Rig, index, key_version};
use super::rounds::{call, entry, fresh_item};
use crate::log::{Checkpoint, Comparison, FileSink, Sink, SinkFactory, compare, verify};

/// What the first gateway remembers after a read at manager 1.
async fn read(rig: &Rig) -> (Uid, Checkpoint) {
    let permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |_| {});
    let answer = rig.derive_at(1, &permit, vec![0], Mode::Read).await.unwrap();
    let identity = &rig.bundle.managers[0].key;
    Checkpoint::open_signed(&answer.body().checkpoint, identity).unwrap()
}

/// What a gateway does that remembers `from` and `to`: whether the log of manager 1 leads from one
/// to the other.
async fn leads(rig: &Rig, from: &Checkpoint, to: &Checkpoint) -> Result<bool, Refusal> {
    let request = ManagerRequest::LogProof { from: from.size, to: to.size };
    match rig.ask(1, rig.gateway.public().spki_sha256(), &request).await? {
        ManagerAnswer::LogProof(hashes) => Ok(follows(from, &hashes, to)),
        other => panic!("another answer to a log proof: {other:?}"),
    }
}

fn log_dir(rig: &Rig) -> PathBuf {
    rig.home(1).join("log")
}

fn put_back(rig: &Rig, copy: &[(PathBuf, Vec<u8>)]) {
    for (path, _) in rig.disk_of(1) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in copy {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn t_log_truncation_detected() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let (origin, first) = read(&rig).await;
    rig.stop(1);
    let early = rig.disk_of(1);
    rig.start(1);
    let (same_origin, remembered) = read(&rig).await;
    assert_eq!(leads(&rig, &first, &remembered).await, Ok(true));
    assert_eq!(origin, same_origin);
    assert!(remembered.size > first.size);
    rig.stop(1);
    assert_eq!(compare(&log_dir(&rig), &remembered).unwrap(), Comparison::Contained);
    assert_eq!(compare(&log_dir(&rig), &first).unwrap(), Comparison::Contained);

    // The log alone is cut: the manager itself notices.
    let late = rig.disk_of(1);
    let (log, bytes) =
        late.iter().find(|(path, _)| path.extension().is_some_and(|e| e == "log")).unwrap();
    let early_log = &early.iter().find(|(path, _)| path == log).unwrap().1;
    assert!(bytes.starts_with(early_log));
    std::fs::write(log, early_log).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("was cut"), "{fault}");

    // The whole directory is put back: only the gateway can tell, from the next answer.
    put_back(&rig, &early);
    rig.start(1);
    let size = rig.manager(1).status().checkpoint.size;
    assert!(size <= remembered.size, "the test needs a log that is still shorter");
    assert_eq!(compare(&log_dir(&rig), &remembered).unwrap(), Comparison::Truncated { size });
    assert_eq!(leads(&rig, &first, &remembered).await, Err(Refusal::NotInLog));
}

#[tokio::test]
async fn t_log_fork_detected() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let (_, first) = read(&rig).await;
    rig.stop(1);
    let early = rig.disk_of(1);
    rig.start(1);
    let (_, remembered) = read(&rig).await;
    rig.stop(1);
    // The manager is put back and goes on with other entries, past where it was.
    put_back(&rig, &early);
    rig.start(1);
    let mut forked = Vec::new();
    while forked.last().is_none_or(|(_, at): &(Uid, Checkpoint)| at.size <= remembered.size + 2) {
        forked.push(read(&rig).await);
    }
    // Two signed answers with one size and two hashes are proof by themselves.
    let same_size = forked.iter().find(|(_, at)| at.size == remembered.size).unwrap();
    assert_ne!(same_size.1.head, remembered.head);
    assert_eq!(compare(&log_dir(&rig), &remembered).unwrap(), Comparison::Forked);
    let (_, last) = forked.last().unwrap();
    assert_eq!(leads(&rig, &first, last).await, Ok(true));
    assert_eq!(leads(&rig, &remembered, last).await, Ok(false));
    assert_eq!(compare(&log_dir(&rig), &first).unwrap(), Comparison::Contained);
    verify(&log_dir(&rig)).unwrap();
}

#[tokio::test]
async fn a_log_proves_any_stretch_of_itself_across_its_files() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let mut seen = vec![read(&rig).await.1];
    while crate::log::segments(&log_dir(&rig)).unwrap().len() < 3 {
        seen.push(read(&rig).await.1);
    }
    for pair in [(0, seen.len() - 1), (1, 2), (0, 0), (seen.len() / 2, seen.len() - 1)] {
        assert_eq!(leads(&rig, &seen[pair.0], &seen[pair.1]).await, Ok(true), "{pair:?}");
    }
    let from_start = leads(&rig, &Checkpoint::default(), &seen[0]).await;
    assert_eq!(from_start, Ok(true));
    let beyond = Checkpoint { size: seen.last().unwrap().size + 1, head: [0; 32] };
    assert_eq!(leads(&rig, &seen[0], &beyond).await, Err(Refusal::NotInLog));
    assert_eq!(leads(&rig, &seen[1], &seen[0]).await, Err(Refusal::NotInLog));
    // Archived files prove nothing any more; what is left does.
    std::fs::remove_file(log_dir(&rig).join("0000000000000001.log")).unwrap();
    assert_eq!(leads(&rig, &seen[0], &seen[1]).await, Err(Refusal::NotInLog));
    let last = seen.len() - 1;
    assert_eq!(leads(&rig, &seen[last - 1], &seen[last]).await, Ok(true));
}

/// Segment files whose next sync waits to be let go, or fails.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    fails: AtomicBool,
    waits: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    reached: std::sync::Mutex<Option<mpsc::UnboundedSender<()>>>,
}

struct GatedFile {
    gate: Arc<Gate>,
    file: FileSink,
}

impl Gate {
    fn factory(self: &Arc<Self>) -> SinkFactory {
        let gate = self.clone();
        Arc::new(move |path| {
            let file = FileSink::open(path)?;
            Ok(Box::new(GatedFile { gate: gate.clone(), file }))
        })
    }

    /// Closes the gate. Gives what opens it, and what says that somebody waits before it.
    fn close(&self) -> (std::sync::mpsc::Sender<()>, mpsc::UnboundedReceiver<()>) {
        let (open, waits) = std::sync::mpsc::channel();
        let (reached, at_gate) = mpsc::unbounded_channel();
        *self.waits.lock().unwrap() = Some(waits);
        *self.reached.lock().unwrap() = Some(reached);
        self.closed.store(true, Ordering::SeqCst);
        (open, at_gate)
    }
}

impl Sink for GatedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.gate.closed.swap(false, Ordering::SeqCst) {
            if let Some(reached) = self.gate.reached.lock().unwrap().take() {
                reached.send(()).unwrap();
            }
            let waits = self.gate.waits.lock().unwrap().take().unwrap();
            waits.recv().unwrap();
        }
        if self.gate.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.file.reserve(offset, length)
    }
}

async fn gated() -> (Rig, Arc<Gate>) {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let gate = Arc::new(Gate::default());
    rig.stop(1);
    rig.sinks[0] = gate.factory();
    rig.start(1);
    (rig, gate)
}

fn request(rig: &Rig) -> Vec<u8> {
    let permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |_| {});
    let call = call(&rig.gateway, &permit, index(1), vec![0], Mode::Read);
    ManagerRequest::Derive(call).to_bytes()
}

#[tokio::test]
async fn no_answer_leaves_before_its_entry_is_durable() {
    let (rig, gate) = gated().await;
    let (open, mut at_gate) = gate.close();
    let (manager, spki) = (rig.manager(1).clone(), rig.gateway.public().spki_sha256());
    let bytes = request(&rig);
    let mut answer = Box::pin(async move { manager.serve(spki, &bytes).await });
    // The entry is written and its sync has begun; the answer must wait for it.
    tokio::select! {
        biased;
        answer = &mut answer => panic!("{} bytes left before the sync", answer.expose().len()),
        reached = at_gate.recv() => reached.unwrap(),
    }
    let early = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
    assert!(early.is_pending(), "an answer left before its entry was durable");
    open.send(()).unwrap();
    let answer = answer.await;
    let answer = ManagerAnswer::from_bytes(answer.expose()).unwrap();
    let ManagerAnswer::Derived(answer) = answer else { panic!("{answer:?}") };
    let checkpoint = super::rounds::body_of(&answer).checkpoint;
    let (_, at) = Checkpoint::read_signed(&checkpoint).unwrap();
    assert_eq!(compare(&log_dir(&rig), &at).unwrap(), Comparison::Contained);
    assert_eq!(verify(&log_dir(&rig)).unwrap().end, at);
}

#[tokio::test]
async fn no_answer_leaves_when_the_log_fails() {
    let (mut rig, gate) = gated().await;
    let bytes = request(&rig);
    let spki = rig.gateway.public().spki_sha256();
    gate.fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let answer = rig.manager(1).serve(spki, &bytes).await;
        let answer = ManagerAnswer::from_bytes(answer.expose()).unwrap();
        assert!(matches!(answer, ManagerAnswer::Refused(Refusal::NotEnoughManagers)), "{answer:?}");
    }
    // Nor does a step of a generation.
    let threshold = keysherd_fragments::manager_set::Threshold::new(2, 3).unwrap();
    let generation = rig.generation(key_version(2), threshold);
    assert_eq!(generation.begin().await.err(), Some(Refusal::NotEnoughManagers));
    assert!(rig.manager(1).status().log_broken);
    // A disk that says it works again is not believed before a new start.
    gate.fails.store(false, Ordering::SeqCst);
    let answer = rig.manager(1).serve(spki, &bytes).await;
    let answer = ManagerAnswer::from_bytes(answer.expose()).unwrap();
    assert!(matches!(answer, ManagerAnswer::Refused(_)));
    drop(generation);
    rig.stop(1);
    rig.start(1);
    read(&rig).await;
}

#[tokio::test]
async fn requests_share_commits() {
    let (rig, gate) = gated().await;
    // Whether its shares are current is asked once, before the first derivation.
    rig.manager(1).be_current().await.unwrap();
    let before = rig.manager(1).status().log_groups;
    let (open, mut at_gate) = gate.close();
    let spki = rig.gateway.public().spki_sha256();
    let mut answers = Vec::new();
    for _ in 0..50 {
        let (manager, bytes) = (rig.manager(1).clone(), request(&rig));
        let mut answer = Box::pin(async move { manager.serve(spki, &bytes).await });
        // The first turn of each request hands its entry in.
        let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        assert!(first.is_pending());
        answers.push(answer);
    }
    at_gate.recv().await.unwrap();
    open.send(()).unwrap();
    for answer in answers {
        assert!(answer.await.expose().len() > 100);
    }
    let groups = rig.manager(1).status().log_groups - before;
    assert!(groups <= 2, "{groups} commits for 50 requests");
}

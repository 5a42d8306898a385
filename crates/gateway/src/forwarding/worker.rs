//! The task of one target: read what follows, check that it does follow, send it, remember it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_api::{Forwarder, ForwarderState};
use keysherd_audit::{Brief, ChainVerifier, Filter, Link, Record};
use keysherd_base::{AccountId, Fault, FaultKind};
use keysherd_crypto::hash::sha256;
use keysherd_plane::PlaneHandle;
use keysherd_plane::audit_log::{AuditFollow, AuditFollowReply};
use keysherd_sinks::{Batch, Format, Line, Outlet, Undelivered, Way};
use tokio::time::{sleep, timeout};

use super::cursor::Cursor;
use super::place::{Keeper, NotKept};
use super::reader::{LogToken, caller};

/// Most lines of one batch.
const BATCH_LINES_MAX: usize = 500;
/// Most bytes of records of one batch, but for a single longer one.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Waiting after the first failure, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Waiting between attempts at a target that refuses: somebody has to change something.
const WAIT_REFUSED_MAX: Duration = Duration::from_secs(300);
/// How long one attempt may take, whatever the target does.
const SEND_PATIENCE: Duration = Duration::from_secs(120);
/// How long control may take to answer.
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// How a target is doing; shared with whoever asks.
#[derive(Clone)]
pub(super) struct SharedState(Arc<Mutex<ForwarderState>>);

impl SharedState {
    /// That of a target which begins at `cursor`.
    pub(super) fn new(forwarder: &Forwarder, cursor: &Cursor) -> Self {
        Self(Arc::new(Mutex::new(ForwarderState {
            name: forwarder.name.clone(),
            sink: forwarder.sink.kind().name,
            enabled: forwarder.enabled,
            delivered: cursor.at.seq,
            newest: cursor.at.seq,
            ..ForwarderState::default()
        })))
    }

    fn lock(&self) -> MutexGuard<'_, ForwarderState> {
        // Plain values, each good by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is now.
    pub(super) fn get(&self) -> ForwarderState {
        self.lock().clone()
    }

    /// Something is wrong.
    pub(super) fn trouble(&self, why: &str) {
        let mut state = self.lock();
        state.failures += 1;
        if state.trouble != why {
            tracing::warn!(target_name = state.name, kind = state.sink, why, "a log target fails");
            why.clone_into(&mut state.trouble);
        }
    }

    /// The log is not the one that was sent before.
    pub(super) fn found(&self, what: &str) {
        let mut state = self.lock();
        state.findings += 1;
        what.clone_into(&mut state.finding);
        tracing::error!(target_name = state.name, kind = state.sink, what, "log forwarding");
    }

    /// Another gateway sends, or will, and this one does not know how that goes.
    pub(super) fn elsewhere(&self) {
        self.lock().elsewhere = true;
    }

    fn well(&self) {
        let mut state = self.lock();
        state.failures = 0;
        if !state.trouble.is_empty() {
            tracing::info!(target_name = state.name, kind = state.sink, "a log target is well");
            state.trouble.clear();
        }
    }
}

/// Everything that the task has.
pub(super) struct Worker {
    pub(super) account: AccountId,
    pub(super) format: Format,
    pub(super) pull_seconds: u32,
    pub(super) filter: Filter,
    pub(super) plane: PlaneHandle,
    pub(super) token: Arc<dyn LogToken>,
    pub(super) way: Way,
    pub(super) outlet: Box<dyn Outlet>,
    pub(super) keeper: Keeper,
    pub(super) cursor: Cursor,
    pub(super) state: SharedState,
}

/// Another gateway sends now.
struct Lost;

/// What follows a look at the log.
enum Next {
    /// There may be more.
    More,
    /// A pause.
    Pause,
    /// Nothing any more.
    Lost,
}

/// A page that does follow the cursor, ready to be sent.
struct Page {
    records: Vec<Checked>,
}

struct Checked {
    seq: u64,
    link: Link,
    bytes: usize,
    /// `None`: the filter leaves it out.
    line: Option<Line>,
}

/// The page after the record `after`, read as `token` says.
///
/// # Errors
/// Those of control; [`Fault::unavailable`] when it does not answer.
pub(super) async fn follow(
    plane: &PlaneHandle,
    way: &Way,
    token: &dyn LogToken,
    after: u64,
) -> Result<AuditFollowReply, Fault> {
    let asked = async {
        let caller = caller(way, Some(token.token().await?))?;
        plane.ask(caller, AuditFollow { after }).await
    };
    let late = |_| Fault::unavailable("the control plane does not answer in time");
    let outcome = timeout(READ_PATIENCE, asked).await.map_err(late)?;
    if let Err(fault) = &outcome
        && fault.kind() == FaultKind::Unauthorized
    {
        token.refused().await;
    }
    outcome
}

impl Worker {
    /// Sends until it is ended, or another gateway has to.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            if !self.keeper.may_send() {
                return;
            }
            let wait = match self.turn().await {
                Ok(Next::Lost) => return,
                Ok(Next::More) => {
                    failures = 0;
                    continue;
                }
                Ok(Next::Pause) => {
                    failures = 0;
                    Duration::from_secs(self.pull_seconds.into())
                }
                Err(fault) => {
                    self.state.trouble(&format!("the log is not read: {}", fault.public()));
                    let asked = fault.retry_after_seconds().map(|s| Duration::from_secs(s.into()));
                    failures += 1;
                    self.backoff(failures, WAIT_MAX).max(asked.unwrap_or_default().min(WAIT_MAX))
                }
            };
            sleep(wait).await;
        }
    }

    /// Sends one page.
    async fn turn(&mut self) -> Result<Next, Fault> {
        let after = self.cursor.at.seq;
        let reply = follow(&self.plane, &self.way, &*self.token, after).await?;
        if reply.account != self.account {
            return Err(Fault::forbidden("it is the log of another account"));
        }
        self.state.lock().newest = reply.newest;
        if !self.leads_here(&reply)? {
            return Ok(Next::More);
        }
        let more = reply.records.last().is_some_and(|last| last.seq < reply.newest);
        let page = self.checked(reply)?;
        if let Err(Lost) = self.deliver(page).await {
            return Ok(Next::Lost);
        }
        self.state.well();
        Ok(if more { Next::More } else { Next::Pause })
    }

    /// Whether control's log leads through the place where this target is. Where it does not, it
    /// was set back or rewritten: that is told, and an earlier place is tried.
    fn leads_here(&mut self, reply: &AuditFollowReply) -> Result<bool, Fault> {
        let at = self.cursor.at;
        match (at.link, reply.previous) {
            (None, None) if at.seq > reply.newest => {
                // Told to begin with a record that is yet to come.
                Err(Fault::not_found(format!("there is no record {} yet", at.seq)))
            }
            (None, previous) => {
                self.cursor.at.link = previous;
                Ok(previous.is_some())
            }
            (Some(known), Some(previous)) if known == previous => Ok(true),
            (Some(_), previous) => {
                let seq = at.seq;
                self.state.found(&match previous {
                    None => format!(
                        "record {seq}, which was sent, is not in the log any more, which ends at \
                         {}; was control restored from a backup?",
                        reply.newest
                    ),
                    Some(_) => format!("record {seq} is not the one that was sent"),
                });
                self.cursor.go_back();
                self.state.lock().delivered = self.cursor.at.seq;
                Ok(false)
            }
        }
    }

    /// The records of a page, their chain verified as far as it goes.
    fn checked(&self, reply: AuditFollowReply) -> Result<Page, Fault> {
        let start = self.cursor.at.link.unwrap_or_default();
        let mut chain = ChainVerifier::after(self.account, sha256, self.cursor.at.seq, start);
        let (mut records, mut told) = (Vec::with_capacity(reply.records.len()), false);
        let mut last = self.cursor.at.seq;
        for followed in reply.records {
            let bytes = followed.record.as_bytes();
            chain.push(followed.seq, bytes, &followed.link);
            if let Some(finding) = chain.finding().filter(|_| !told) {
                told = true;
                self.state.found(&format!("control's audit log is not intact: {finding}"));
            }
            if followed.seq <= last {
                continue;
            }
            last = followed.seq;
            let record = Record::parse(bytes).map_err(|bad| {
                Fault::internal(bad.to_string())
                    .with_private(format_args!("record {}", followed.seq))
            })?;
            let wanted = Brief::read(bytes).is_ok_and(|brief| self.filter.matches(&brief));
            records.push(Checked {
                seq: followed.seq,
                link: followed.link,
                bytes: bytes.len(),
                line: wanted.then_some(Line { record }),
            });
        }
        Ok(Page { records })
    }

    /// Sends a page in batches, each until it has arrived.
    async fn deliver(&mut self, page: Page) -> Result<(), Lost> {
        let mut most = BATCH_LINES_MAX;
        let mut records = page.records.into_iter().peekable();
        while records.peek().is_some() {
            let (mut lines, mut bytes, mut last) = (Vec::new(), 0, None);
            while let Some(next) = records.peek() {
                let full = lines.len() >= BATCH_LINES_MAX || bytes + next.bytes > BATCH_BYTES_MAX;
                if full && !lines.is_empty() && next.line.is_some() {
                    break;
                }
                let Some(next) = records.next() else { break };
                last = Some((next.seq, next.link));
                if let Some(line) = next.line {
                    bytes += next.bytes;
                    lines.push(line);
                }
            }
            let mut rest = lines.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(most.min(rest.len()));
                if self.send(now).await? {
                    rest = later;
                } else if most > 1 {
                    most /= 2;
                }
            }
            if let Some((seq, link)) = last {
                self.arrived(seq, link, !lines.is_empty()).await?;
            }
        }
        Ok(())
    }

    /// Sends lines until they arrived; `false` when they are too many for the target, which a
    /// single one never is: it is tried on.
    async fn send(&mut self, lines: &[Line]) -> Result<bool, Lost> {
        let batch = Batch { account: self.account, format: self.format, lines };
        let mut failures = 0;
        loop {
            if !self.keeper.may_send() {
                return Err(Lost);
            }
            let sent = timeout(SEND_PATIENCE, self.outlet.send(batch)).await;
            let failed = match sent {
                Ok(Ok(())) => {
                    self.state.well();
                    return Ok(true);
                }
                Ok(Err(failed)) => failed,
                Err(_) => {
                    Undelivered::Later { why: "it does not answer in time".to_owned(), after: None }
                }
            };
            failures += 1;
            let wait = match failed {
                Undelivered::TooLarge if lines.len() > 1 => return Ok(false),
                Undelivered::TooLarge => {
                    let (seq, _) = batch.range();
                    self.state.trouble(&format!("record {seq} is too long for the target"));
                    self.backoff(failures, WAIT_REFUSED_MAX)
                }
                Undelivered::Later { why, after } => {
                    self.state.trouble(&why);
                    self.backoff(failures, WAIT_MAX).max(after.unwrap_or_default())
                }
                Undelivered::Refused { why } => {
                    self.state.trouble(&why);
                    self.backoff(failures, WAIT_REFUSED_MAX)
                }
            };
            sleep(wait).await;
        }
    }

    /// Remembers how far it came. Where nobody takes it, more is sent again after a restart, and
    /// nothing is left out.
    async fn arrived(&mut self, seq: u64, link: Link, something: bool) -> Result<(), Lost> {
        self.cursor.advance(seq, link);
        match self.keeper.keep(&self.cursor).await {
            Ok(()) => {}
            Err(NotKept::Lost) => return Err(Lost),
            Err(NotKept::Failed(fault)) => {
                tracing::error!(?fault, "the place of a log target is not kept");
                self.state
                    .trouble(&format!("its place in the log is not kept: {}", fault.public()));
            }
        }
        let mut state = self.state.lock();
        state.delivered = seq;
        if something {
            state.delivered_at = Some(self.way.clock.now());
        }
        Ok(())
    }

    /// How long to wait after so many failures: half of a doubling time, and up to another half by
    /// chance, so that many gateways do not come back at once.
    fn backoff(&self, failures: u32, most: Duration) -> Duration {
        let doubled = WAIT_FIRST.saturating_mul(1_u32 << (failures.saturating_sub(1)).min(16));
        let half = doubled.min(most) / 2;
        let chance = self.way.rng.array::<1>().map_or(0, |[byte]| u32::from(byte));
        half + half * chance / 255
    }
}

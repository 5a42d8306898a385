//! The thread that drives the connections, and the making of new ones.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use keysherd_base::Fault;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::errors::{self, Trouble};
use super::settings::{HOST_PATIENCE, PostgresSettings};
use super::tls::Tls;

#[cfg(test)]
mod tests;

/// How long an answer may take. The server gives up first.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// The same where whole tables are read or an index is made.
const UPKEEP_PATIENCE: Duration = Duration::from_secs(24 * 3_600);
/// How long nobody tries to connect again after it failed: requests are refused at once meanwhile.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// What a session is set to. The first must not be weaker than what "done" promises.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') = 'off'; \
                       SET statement_timeout = '15s'; SET lock_timeout = '10s'; \
                       SET idle_in_transaction_session_timeout = '15s'; \
                       SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
                       SET tcp_keepalives_count = 3; \
                       SET default_transaction_isolation = 'read committed'";

/// The same for whoever is patient.
const PATIENT: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// The server, or the cluster, of a store.
pub(crate) struct Server {
    settings: PostgresSettings,
    /// Whether nobody else may write.
    pub(super) alone: bool,
    /// How long an answer may take.
    patience: Duration,
    /// There until the end.
    runtime: Option<Runtime>,
    /// The host that answered last.
    host: AtomicUsize,
    /// How often an answer did not come.
    silences: AtomicUsize,
    down: Arc<AtomicBool>,
    in_doubt: AtomicBool,
}

/// What a session is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    host: usize,
    /// How often an answer had not come when it was made.
    silences: usize,
}

/// A session that was made.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) way: Way,
    pub(super) warnings: Warnings,
}

/// How many warnings a server gave on a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    /// Those of all answers that were got.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Drives a connection until it ends. What ends it, the next statement on it is told.
    async fn counted_on<S, T>(self, mut connection: tokio_postgres::Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            let AsyncMessage::Notice(notice) = message else { continue };
            if notice.parsed_severity() == Some(Severity::Warning) {
                tracing::warn!(code = notice.code().code(), "{}", notice.message());
                self.0.fetch_add(1, Ordering::Release);
            }
        }
    }
}

/// Held while it is being found out what became of a commit.
pub(super) struct Doubt<'a>(&'a AtomicBool);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Server {
    /// Starts the thread; nothing is connected yet.
    pub(crate) fn new(settings: PostgresSettings, alone: bool) -> Result<Arc<Self>, Fault> {
        Self::with_patience(settings, alone, ANSWER_PATIENCE)
    }

    /// As [`Self::new`], for work on whole tables, where an answer may take hours.
    pub(crate) fn patient(settings: PostgresSettings, alone: bool) -> Result<Arc<Self>, Fault> {
        Self::with_patience(settings, alone, UPKEEP_PATIENCE)
    }

    fn with_patience(
        settings: PostgresSettings,
        alone: bool,
        patience: Duration,
    ) -> Result<Arc<Self>, Fault> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-postgres")
            .enable_all()
            .build()
            .map_err(Fault::internal)?;
        Ok(Arc::new(Self {
            settings,
            alone,
            patience,
            runtime: Some(runtime),
            host: AtomicUsize::new(0),
            silences: AtomicUsize::new(0),
            down: Arc::default(),
            in_doubt: AtomicBool::new(false),
        }))
    }

    /// Begins a time in which changes are refused at once: the writer waits for the server.
    pub(super) fn doubt(&self) -> Doubt<'_> {
        self.in_doubt.store(true, Ordering::Release);
        Doubt(&self.in_doubt)
    }

    /// Refuses what the writer would not get to in time.
    pub(crate) fn check_writable(&self) -> Result<(), Fault> {
        match self.in_doubt.load(Ordering::Acquire) {
            true => Err(errors::lost("the writer waits for it")),
            false => Ok(()),
        }
    }

    /// A new session on the primary, and what it is on.
    pub(super) fn connect(&self) -> Result<Session, Fault> {
        if self.down.load(Ordering::Acquire) {
            return Err(errors::lost("it did not answer a moment ago"));
        }
        let mut why = String::new();
        let silences = self.silences.load(Ordering::Acquire);
        let (first, count) = (self.host.load(Ordering::Relaxed), self.settings.hosts.len());
        for host in (0..count).map(|step| (first + step) % count) {
            let Some(config) = self.settings.hosts.get(host) else { continue };
            match self.session(config) {
                Ok((client, warnings)) => {
                    self.host.store(host, Ordering::Relaxed);
                    return Ok(Session { client, way: Way { host, silences }, warnings });
                }
                Err(error) => {
                    let known = error.as_ref().map(errors::described);
                    let text = known.unwrap_or_else(|| "no answer in time".to_owned());
                    why.push_str(&format!("host {}: {text}; ", host + 1));
                }
            }
        }
        tracing::warn!(database = self.settings.shown(), why, "the database cannot be reached");
        self.refuse_for_a_moment();
        Err(errors::lost(&why))
    }

    /// One attempt with one host. `Err(None)`: it took too long.
    fn session(
        &self,
        config: &Config,
    ) -> Result<(Client, Warnings), Option<tokio_postgres::Error>> {
        let warnings = Warnings::default();
        let connecting = async {
            let client = match &self.settings.tls {
                Some(tls) => {
                    let (client, connection) = config.connect(Tls(Arc::clone(tls))).await?;
                    tokio::spawn(warnings.clone().counted_on(connection));
                    client
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(warnings.clone().counted_on(connection));
                    client
                }
            };
            client.batch_execute(SESSION).await?;
            if self.patience > ANSWER_PATIENCE {
                client.batch_execute(PATIENT).await?;
            }
            Ok((client, warnings.clone()))
        };
        match self.wait_at_most(HOST_PATIENCE, connecting) {
            Some(outcome) => outcome.map_err(Some),
            None => Err(None),
        }
    }

    fn refuse_for_a_moment(&self) {
        self.down.store(true, Ordering::Release);
        let down = Arc::clone(&self.down);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                tokio::time::sleep(RETRY_AFTER).await;
                down.store(false, Ordering::Release);
            });
        }
    }

    /// Waits until it is worth another attempt to connect.
    pub(super) fn pause(&self) {
        self.wait_at_most(RETRY_AFTER + RETRY_AFTER / 2, std::future::pending::<()>());
    }

    /// Waits for an answer on a session.
    pub(super) fn wait<T>(
        &self,
        way: Way,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Trouble> {
        match self.wait_at_most(self.patience, answer) {
            Some(outcome) => outcome.map_err(|error| Trouble::of(&error)),
            None => {
                self.went_silent(way);
                Err(Trouble::too_late())
            }
        }
    }

    /// Gives up the host of a session, unless another session on it did.
    fn went_silent(&self, way: Way) {
        let Way { host, silences } = way;
        let (counted, order) = (silences.wrapping_add(1), Ordering::AcqRel);
        if self.silences.compare_exchange(silences, counted, order, Ordering::Acquire).is_ok() {
            // Another host is asked first. Whoever connected meanwhile knows a better one.
            let next = host.wrapping_add(1);
            let _ = self.host.compare_exchange(host, next, order, Ordering::Relaxed);
        }
    }

    /// Whether no host has gone silent since a session was made. Sessions from before are not to be
    /// used for anything new: each would have to be waited for, and a host that comes to itself
    /// again may not know yet that it is not the primary any more.
    pub(super) fn is_fresh(&self, way: Way) -> bool {
        self.silences.load(Ordering::Acquire) == way.silences
    }

    /// Waits on this thread, wherever it belongs to; `None` when it took too long.
    fn wait_at_most<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let _inside = self.runtime.as_ref()?.enter();
        // The budget of a task of the caller's runtime has nothing to do with it.
        let limited = tokio::task::unconstrained(tokio::time::timeout(limit, work));
        park_until(limited).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting for the thread is not allowed where the last handle may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on this thread until it is ready.
pub(crate) fn park_until<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

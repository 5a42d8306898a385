//! The closed loop: each connection sends its next request when the last one was answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::connection::{Connection, Endpoint};
use crate::scripts::Script;

/// One of so many answers is compared to what it should be, and the first of each connection.
const CHECK_EVERY: u64 = 100;
/// Longest time a measurement may go on after its end; a request that takes longer is lost.
const GRACE: Duration = Duration::from_secs(60);
/// Longest latency that is told apart, in nanoseconds.
const NANOSECONDS_MAX: u64 = 200_000_000_000;

/// What came out of one run.
pub(crate) struct Outcome {
    /// Answers.
    pub(crate) requests: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Latencies in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Answers that were compared to what they should be.
    pub(crate) checked: u64,
    /// Bytes of all answers' bodies.
    pub(crate) answer_bytes: u64,
    /// The scripts, which know what they did.
    pub(crate) scripts: Vec<Box<dyn Script>>,
}

/// A number of open connections.
pub(crate) struct Fleet {
    connections: Vec<Connection>,
}

struct Tally {
    requests: u64,
    latency: Histogram<u64>,
    checked: u64,
    answer_bytes: u64,
}

impl Fleet {
    /// Opens `count` connections.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) async fn connect(endpoint: &Endpoint, count: usize) -> Result<Self, String> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(endpoint.connect().await?);
        }
        Ok(Self { connections })
    }

    /// Runs one script on each connection until `time` is over or the scripts are at their end;
    /// each sends at least one request if it has one.
    ///
    /// # Errors
    /// When a connection is lost, or an answer is not what it should be.
    pub(crate) async fn run(
        &mut self,
        scripts: Vec<Box<dyn Script>>,
        time: Duration,
    ) -> Result<Outcome, String> {
        let latency = Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3);
        let latency = latency.map_err(|error| error.to_string())?;
        let tally = Tally { requests: 0, latency, checked: 0, answer_bytes: 0 };
        let tally = Arc::new(Mutex::new(tally));
        let begin = Instant::now();
        let mut loops = JoinSet::new();
        for (connection, script) in self.connections.drain(..).zip(scripts) {
            loops.spawn(go(connection, script, begin + time, tally.clone()));
        }
        let mut scripts = Vec::with_capacity(loops.len());
        let gather = async {
            while let Some(ended) = loops.join_next().await {
                let (connection, script) = ended.map_err(|error| error.to_string())??;
                self.connections.push(connection);
                scripts.push(script);
            }
            Ok::<_, String>(())
        };
        let late = |_| format!("a request was not answered within {} s", GRACE.as_secs());
        tokio::time::timeout(time + GRACE, gather).await.map_err(late)??;
        let elapsed = begin.elapsed();
        let tally = Arc::into_inner(tally).ok_or("a connection is still at work")?;
        let Tally { requests, latency, checked, answer_bytes } =
            tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Outcome { requests, elapsed, latency, checked, answer_bytes, scripts })
    }
}

async fn go(
    mut connection: Connection,
    mut script: Box<dyn Script>,
    until: Instant,
    tally: Arc<Mutex<Tally>>,
) -> Result<(Connection, Box<dyn Script>), String> {
    let mut number = 0;
    // At least one request each, so that even the shortest run measures something.
    while number == 0 || Instant::now() < until {
        let Some(request) = script.next() else { break };
        let begin = Instant::now();
        let answer = connection.call(request).await?;
        let took = begin.elapsed();
        if !script.accepts(answer.status) {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("an answer with status {}: {text}", answer.status));
        }
        let check = number % CHECK_EVERY == 0;
        if check {
            script.check(answer.body)?;
        }
        number += 1;
        // All loops run on one thread, so nobody ever waits for this.
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.requests += 1;
        tally.checked += u64::from(check);
        tally.answer_bytes += u64::try_from(answer.body.len()).unwrap_or(0);
        tally.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
    Ok((connection, script))
}

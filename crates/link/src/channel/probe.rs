//! A look at another role, step by step, for whoever has to say what fails.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use keysherd_base::Timestamp;
use tokio::time::timeout;

use super::{Shared, head, said};
use crate::channel::Channel;
use crate::dial::{ProbeFailed, ProbeStep};
use crate::error::LinkError;
use crate::routes;
use crate::wire;

/// What a look showed.
#[derive(Clone, Copy, Debug)]
pub struct Probed {
    /// From the name to the end of the handshake.
    pub connected: Duration,
    /// One question and its answer.
    pub round_trip: Duration,
    /// How far the other clock is ahead of this one, in milliseconds, half a round trip more or
    /// less; `None` when it does not say.
    pub skew_millis: Option<i64>,
}

impl Channel {
    /// Connects by the first route, asks one question that means nothing, and lets the connection
    /// go. Connections in use are not touched.
    ///
    /// # Errors
    /// [`ProbeFailed`].
    pub async fn probe(&self) -> Result<Probed, ProbeFailed> {
        let shared = &*self.shared;
        let limit = shared.limits.connect_timeout;
        let late = |_| ProbeFailed {
            step: ProbeStep::Admission,
            why: "it does not answer in time".to_owned(),
        };
        // Each step has its own limit; this is for those that have none.
        timeout(limit * 3, probe(shared)).await.map_err(late)?
    }
}

impl Channel {
    /// How far the other clock is ahead of this one, in milliseconds, half a round trip more or
    /// less; `None` when it does not say. Asks on the connection that calls use.
    ///
    /// # Errors
    /// [`LinkError`], when the other end does not answer.
    pub async fn skew_millis(&self) -> Result<Option<i64>, LinkError> {
        let shared = &self.shared;
        let asking = async {
            let connection = shared.connection().await?;
            let hello = head(routes::HELLO, Bytes::new())?;
            let asked = (Instant::now(), shared.identity.clock().now());
            let answer = connection.send.clone().send_request(hello).await;
            let answer = answer.map_err(|error| LinkError::Lost(said(&error)))?;
            wire::check_version(answer.headers())?;
            Ok(skew(answer.headers(), asked.1, asked.0.elapsed()))
        };
        let late = |_| Err(LinkError::TimedOut);
        timeout(shared.limits.connect_timeout, asking).await.unwrap_or_else(late)
    }
}

/// How far the clock in an answer is ahead of what this one was when it was asked, in milliseconds.
fn skew(headers: &HeaderMap, asked: Timestamp, round_trip: Duration) -> Option<i64> {
    let half = i64::try_from(round_trip.as_millis() / 2).unwrap_or(i64::MAX);
    wire::clock_of(headers).map(|theirs| theirs.millis_since(asked).saturating_sub(half))
}

async fn probe(shared: &Shared) -> Result<Probed, ProbeFailed> {
    let route = {
        let routes = shared.routes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        routes.first().cloned()
    };
    let nowhere = || ProbeFailed { step: ProbeStep::Name, why: "it has no address".to_owned() };
    let route = route.ok_or_else(nowhere)?;
    let begun = Instant::now();
    let limit = shared.limits.connect_timeout;
    let connecting = route.connect(&shared.identity, &shared.trust, limit);
    let late = |_| ProbeFailed { step: ProbeStep::Tls, why: "TLS: no answer in time".to_owned() };
    let connected = timeout(limit * 2, connecting).await.map_err(late)??;
    let elapsed = begun.elapsed();
    let refused = |why: String| ProbeFailed { step: ProbeStep::Admission, why };
    let not_in =
        |error: hyper::Error| refused(format!("it does not let this role in: {}", said(&error)));
    let mut connection = shared.speak(connected).await.map_err(not_in)?;
    // With TLS 1.3 only an answer says that this role is let in; the second one is timed.
    let mut answer = None;
    let mut asked = (Instant::now(), shared.identity.clock().now());
    for _ in 0..2 {
        asked = (Instant::now(), shared.identity.clock().now());
        let hello =
            head(routes::HELLO, Bytes::new()).map_err(|error| refused(error.to_string()))?;
        answer = Some(connection.send.send_request(hello).await.map_err(not_in)?);
    }
    let round_trip = asked.0.elapsed();
    let headers = answer.map(|answer| answer.into_parts().0.headers).unwrap_or_default();
    wire::check_version(&headers).map_err(|error| refused(error.to_string()))?;
    let skew_millis = skew(&headers, asked.1, round_trip);
    Ok(Probed { connected: elapsed, round_trip, skew_millis })
}

//! Request bodies: what type, how large, how long, how much at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use keysherd_base::limits::BODY_BYTES_MAX;
use keysherd_base::{Fault, FaultKind, SecretBytes};
use tokio::time::timeout;

/// Of a body that will be refused, as much is still read, so that the client is done sending and
/// reads the answer instead of seeing its connection break.
const DISCARDED_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
/// First buffer of a body that comes in pieces.
const PIECES_BYTES_MIN: usize = 16 * 1024;

/// Whether the content type is JSON or not given.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().all(is_json_type)
}

/// `application/json` or `application/*+json` (RFC 6839, section 3.1), with any parameters.
fn is_json_type(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return essence.is_empty();
    };
    let suffix = subtype.len().checked_sub("+json".len()).and_then(|at| subtype.get(at..));
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json")))
}

/// A body that arrived as a whole.
pub(crate) enum Received<'a> {
    /// In one piece: a view of the connection's buffer.
    Whole(Bytes),
    /// In several; overwritten on drop.
    Joined(Joined<'a>),
}

impl AsRef<[u8]> for Received<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(joined) => joined.bytes.expose(),
        }
    }
}

/// The pieces of one body so far.
pub(crate) struct Joined<'a> {
    bytes: SecretBytes,
    bodies: &'a Bodies,
    held: usize,
}

impl Joined<'_> {
    /// # Errors
    /// [`FaultKind::Unavailable`] when all bodies together take too much memory.
    fn append(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let length = self.bytes.expose().len() + piece.len();
        if length > self.held {
            let capacity = length.next_power_of_two().max(PIECES_BYTES_MIN);
            self.bodies.take(capacity - self.held)?;
            self.held = capacity;
            // A vector that grows by itself would leave a copy behind that nobody overwrites.
            let mut grown = SecretBytes::new(Vec::with_capacity(capacity));
            grown.expose_mut().extend_from_slice(self.bytes.expose());
            self.bytes = grown;
        }
        self.bytes.expose_mut().extend_from_slice(piece);
        Ok(())
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// All bodies that are being received by one edge.
#[derive(Debug)]
pub(crate) struct Bodies {
    held: AtomicUsize,
    held_max: usize,
    wait: Duration,
}

impl Bodies {
    /// At most `held_max` bytes for all bodies in pieces; `wait` for each body.
    pub(crate) fn new(held_max: usize, wait: Duration) -> Self {
        Self { held: AtomicUsize::new(0), held_max, wait }
    }

    fn take(&self, bytes: usize) -> Result<(), Fault> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.held_max {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Fault::unavailable("too many large requests at once; try again"));
        }
        Ok(())
    }

    /// Receives the whole body.
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`], [`FaultKind::Timeout`], [`FaultKind::Unavailable`] as
    /// [`Joined::append`], and a bad request when the body breaks off.
    pub(crate) async fn receive(
        &self,
        head: &HeaderMap,
        body: Incoming,
    ) -> Result<Received<'_>, Fault> {
        if body.is_end_stream() {
            return Ok(Received::Whole(Bytes::new()));
        }
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > BODY_BYTES_MAX {
            self.discard(head, body).await;
            return Err(too_large());
        }
        match timeout(self.wait, self.collect(body)).await {
            Ok(received) => received,
            Err(_) => Err(Fault::new(
                FaultKind::Timeout,
                format!("the body did not arrive within {:?}", self.wait),
            )),
        }
    }

    async fn collect(&self, mut body: Incoming) -> Result<Received<'_>, Fault> {
        let mut received = Received::Whole(Bytes::new());
        while let Some(piece) = next_piece(&mut body).await? {
            if received.as_ref().len() + piece.len() > BODY_BYTES_MAX {
                drop(received);
                drain(&mut body, DISCARDED_BYTES_MAX).await;
                return Err(too_large());
            }
            received = match received {
                Received::Whole(first) if first.is_empty() => Received::Whole(piece),
                Received::Whole(first) => Received::Joined(self.join(&first, &piece)?),
                Received::Joined(mut joined) => {
                    joined.append(&piece)?;
                    Received::Joined(joined)
                }
            };
            if body.is_end_stream() {
                break;
            }
        }
        Ok(received)
    }

    fn join(&self, first: &[u8], second: &[u8]) -> Result<Joined<'_>, Fault> {
        let mut joined = Joined { bytes: SecretBytes::new(Vec::new()), bodies: self, held: 0 };
        joined.append(first)?;
        joined.append(second)?;
        Ok(joined)
    }

    /// Reads a body away that nobody wants, so that the client gets to the answer. Not when the
    /// client waits for our word before it sends, and not without bounds.
    pub(crate) async fn discard(&self, head: &HeaderMap, mut body: Incoming) {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let waits = head.contains_key(EXPECT);
        if body.is_end_stream() || waits || announced > DISCARDED_BYTES_MAX {
            return;
        }
        // Too slow is as good as too large: the answer goes out, the connection is closed.
        let _ = timeout(self.wait, drain(&mut body, DISCARDED_BYTES_MAX)).await;
    }
}

fn too_large() -> Fault {
    Fault::new(FaultKind::TooLarge, format!("the body is larger than {BODY_BYTES_MAX} bytes"))
}

/// The next data of `body`; trailers are skipped.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Fault::bad_request("the body broke off").with_private(error))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn drain(body: &mut Incoming, bytes_max: usize) {
    let mut seen = 0;
    while let Ok(Some(piece)) = next_piece(body).await {
        seen += piece.len();
        if seen > bytes_max {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(types: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for text in types {
            headers.append(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
        }
        is_json(&headers)
    }

    #[test]
    fn json_or_nothing_is_accepted() {
        assert!(accepts(&[]));
        for good in [
            "",
            "application/json",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            "application/json ;odd",
            "application/problem+json",
            "application/x.y+JSON;v=1",
        ] {
            assert!(accepts(&[good]), "{good}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=json",
            "application/jsonp",
            "application/json-seq",
            "application",
            "text/plain; application/json",
        ] {
            assert!(!accepts(&[bad]), "{bad}");
        }
        assert!(!accepts(&["application/json", "text/plain"]));
    }

    #[test]
    fn bodies_in_pieces_are_counted_and_given_back() {
        let bodies = Bodies::new(40_000, Duration::from_secs(1));
        let mut one = bodies.join(b"a", b"b").unwrap();
        assert_eq!(bodies.held.load(Ordering::Relaxed), PIECES_BYTES_MIN);
        let other = bodies.join(&[1; 16_000], b"").unwrap();
        let fault = one.append(&[2; 20_000]).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        drop(other);
        one.append(&[2; 20_000]).unwrap();
        assert_eq!(Received::Joined(one).as_ref().len(), 20_002);
        assert_eq!(bodies.held.load(Ordering::Relaxed), 0);
    }
}

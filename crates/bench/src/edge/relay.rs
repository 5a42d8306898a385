//! A way to control that takes a while: bytes are handed on in order, half of a round trip after
//! they came, in a thread of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Bytes handed on at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks on their way in one direction.
const CHUNKS_MAX: usize = 256;

/// The relay, which ends with this process.
pub(super) struct Relay {
    /// Where it listens.
    pub(super) address: String,
    half_trip_micros: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to `target` that takes no time yet.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(super) fn start(target: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no relay: {error}");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let half_trip_micros = Arc::new(AtomicU64::new(0));
        let (target, half) = (target.to_owned(), half_trip_micros.clone());
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(failed)?;
        std::thread::spawn(move || runtime.block_on(serve(listener, target, half)));
        Ok(Self { address, half_trip_micros })
    }

    /// A round trip takes so long from now on.
    pub(super) fn set_round_trip(&self, millis: u64) {
        self.half_trip_micros.store(millis * 500, Ordering::Relaxed);
    }
}

async fn serve(listener: std::net::TcpListener, target: String, half: Arc<AtomicU64>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((near, _)) = listener.accept().await {
        let (target, half) = (target.clone(), half.clone());
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _slower = (near.set_nodelay(true), far.set_nodelay(true));
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(hand_on(from_near, to_far, half.clone()));
            hand_on(from_far, to_near, half).await;
        });
    }
}

async fn hand_on(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    half: Arc<AtomicU64>,
) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let reading = tokio::spawn(async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let at = Instant::now() + Duration::from_micros(half.load(Ordering::Relaxed));
            let bytes = chunk.get(..read).unwrap_or_default().to_vec();
            if queue.send((at, bytes)).await.is_err() {
                return;
            }
        }
    });
    while let Some((at, bytes)) = due.recv().await {
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        }
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ended = to.shutdown().await;
    reading.abort();
}

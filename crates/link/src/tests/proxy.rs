//! A network in the way: passes bytes on, keeps a copy, and can be cut or held.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A proxy in front of one address.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    wire: Arc<Wire>,
    accepting: tokio::task::AbortHandle,
}

struct Wire {
    /// Every byte in either direction.
    recorded: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    held: watch::Sender<bool>,
    cut: Mutex<CancellationToken>,
}

impl Proxy {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            recorded: Mutex::default(),
            connections: AtomicUsize::new(0),
            held: watch::Sender::new(false),
            cut: Mutex::default(),
        });
        let of_task = wire.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                of_task.connections.fetch_add(1, Ordering::Relaxed);
                let cut = of_task.cut.lock().unwrap().clone();
                let wire = of_task.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = cut.cancelled() => {}
                        () = wire.pass(near, target) => {}
                    }
                });
            }
        });
        Self { address, wire, accepting: accepting.abort_handle() }
    }

    /// Ends all connections; new ones are taken.
    pub(super) fn cut(&self) {
        std::mem::take(&mut *self.wire.cut.lock().unwrap()).cancel();
    }

    /// Ends all connections and takes no more.
    pub(super) fn close(&self) {
        self.accepting.abort();
        self.cut();
    }

    /// Keeps connections open and passes nothing on.
    pub(super) fn hold(&self) {
        self.wire.held.send_replace(true);
    }

    pub(super) fn connections(&self) -> usize {
        self.wire.connections.load(Ordering::Relaxed)
    }

    /// Whether these bytes went by.
    pub(super) fn saw(&self, bytes: &[u8]) -> bool {
        self.wire.recorded.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }

    pub(super) fn recorded_len(&self) -> usize {
        self.wire.recorded.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

impl Wire {
    async fn pass(&self, near: TcpStream, target: SocketAddr) {
        let Ok(far) = TcpStream::connect(target).await else { return };
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        tokio::join!(self.copy(near_in, far_out), self.copy(far_in, near_out));
    }

    async fn copy(
        &self,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
    ) {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from.read(&mut piece).await {
            if self.held.subscribe().wait_for(|held| !held).await.is_err() {
                return;
            }
            self.recorded.lock().unwrap().extend_from_slice(&piece[..len]);
            if to.write_all(&piece[..len]).await.is_err() {
                return;
            }
        }
        drop(to.shutdown().await);
    }
}

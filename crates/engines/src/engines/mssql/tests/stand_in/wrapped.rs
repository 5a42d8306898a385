//! TLS as SQL Server speaks it: its handshake is inside of packets, what follows is not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::PRELOGIN;
use crate::testing::tls;

const HEAD_BYTES: usize = 8;

/// Packets around what is read and written, until it is ready.
pub(super) struct Wrapped {
    stream: TcpStream,
    ready: Arc<AtomicBool>,
    head: Vec<u8>,
    /// Bytes of the packet that is being read which are still to come.
    left: usize,
    /// What is still to be written of a packet.
    out: Vec<u8>,
}

impl Wrapped {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (head, out) = (Vec::new(), Vec::new());
        Self { stream, ready: Arc::default(), head, left: 0, out }
    }

    /// Whether the handshake is over; whoever finds that says so here.
    pub(super) fn ready(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.out))?;
            self.out.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ready.load(Ordering::SeqCst) {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        while this.left == 0 {
            let mut bytes = [0; HEAD_BYTES];
            let mut head = ReadBuf::new(&mut bytes[this.head.len()..]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut head))?;
            if head.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.head.extend(head.filled());
            if this.head.len() == HEAD_BYTES {
                assert_eq!(this.head[0], PRELOGIN);
                let length = u16::from_be_bytes([this.head[2], this.head[3]]);
                this.left = usize::from(length) - HEAD_BYTES;
                this.head.clear();
            }
        }
        let mut bytes = vec![0; this.left.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
        this.left -= part.filled().len();
        buffer.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_out(context))?;
        if this.ready.load(Ordering::SeqCst) {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        }
        let taken = bytes.len().min(4_000);
        let length = u16::try_from(taken + HEAD_BYTES).unwrap().to_be_bytes();
        this.out = [&[PRELOGIN, 1][..], &length, &[0, 0, 1, 0], &bytes[..taken]].concat();
        let _ = this.poll_out(context)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// What encrypts as 127.0.0.1, and the authority that vouches for it.
pub(super) fn acceptor() -> (TlsAcceptor, String) {
    // What it speaks inside of packets; newer versions would send something after the handshake.
    tls::acceptor(&[&rustls::version::TLS12])
}

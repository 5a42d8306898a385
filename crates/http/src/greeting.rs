//! The first bytes of a connection: what a proxy says about its client, and whether the client
//! speaks TLS.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::proxy_header::{PROXY_HEADER_BYTES_MAX, parse_proxy_header};

/// The type of the first record of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// The answer to HTTP where TLS is spoken.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
    Content-Length: 66\r\nConnection: close\r\n\r\n\
    {\"error\":\"this port speaks TLS; use https:// in place of http://\"}";
/// Room for the first bytes; a ClientHello with a post-quantum key share mostly fits.
const FIRST_BYTES: usize = 2_048;
/// Most of a request in the clear that is read before its connection is closed.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// A stream of which some bytes were read ahead.
pub(crate) struct ReadAhead<S> {
    stream: S,
    early: Vec<u8>,
    /// How many of them were handed on.
    taken: usize,
}

/// Why a connection is not served.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The proxy did not say where its client is.
    ProxyHeader(&'static str),
    /// It was shown a proof, which is all that it wanted.
    Proof,
    /// The client does not speak TLS.
    Plaintext,
    /// Its client has as many as one may have.
    TooMany,
    /// The handshake failed.
    Handshake(#[expect(dead_code, reason = "shown in the log")] io::Error),
    /// It ended, could not be read, or is neither TLS nor HTTP.
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadAhead<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, early: Vec::new(), taken: 0 }
    }

    /// Reads the header of a proxy; gives its client, if it names one.
    pub(crate) async fn proxy_header(&mut self) -> Result<Option<IpAddr>, Refused> {
        loop {
            let header = parse_proxy_header(&self.early).map_err(Refused::ProxyHeader)?;
            if let Some(header) = header {
                self.early.drain(..header.length);
                return Ok(header.client);
            }
            // The header is complete or wrong before this many bytes are there.
            if self.early.len() >= PROXY_HEADER_BYTES_MAX {
                return Err(Refused::ProxyHeader("it is too long"));
            }
            self.more().await?;
        }
    }

    /// Makes sure that TLS follows. Who speaks HTTP is told to speak TLS.
    pub(crate) async fn expect_tls(&mut self) -> Result<(), Refused> {
        if self.early.is_empty() {
            self.more().await?;
        }
        match self.early.first() {
            Some(&HANDSHAKE) => Ok(()),
            Some(b'A'..=b'Z') => {
                // Whether it arrives is the client's affair.
                let _told = self.stream.write_all(SPEAK_TLS).await;
                let _ended = self.stream.shutdown().await;
                self.discard().await;
                Err(Refused::Plaintext)
            }
            _ => Err(Refused::Gone),
        }
    }

    /// Reads what the client still sends: a connection that is closed before takes the answer with
    /// it.
    async fn discard(&mut self) {
        let mut left = DISCARDED_BYTES_MAX;
        let mut piece = [0; 1_024];
        while let Ok(count @ 1..) = self.stream.read(&mut piece).await
            && left > count
        {
            left -= count;
        }
    }

    async fn more(&mut self) -> Result<(), Refused> {
        self.early.reserve_exact(FIRST_BYTES);
        match self.stream.read_buf(&mut self.early).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Refused::Gone),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = this.early.get(this.taken..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..count).unwrap_or_default());
        this.taken += count;
        if this.taken >= this.early.len() {
            (this.early, this.taken) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

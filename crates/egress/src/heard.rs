//! A connection whose server is listened to before its driver hears it. Whoever makes a target or
//! a configuration chooses the server, and drivers keep what it says until it has said it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server says in one session at most, in bytes.
pub const SAID_BYTES_MAX: usize = 4 << 20;

/// Who listens.
pub trait Listener: Send + Unpin {
    /// Hears what comes, in whatever pieces.
    ///
    /// # Errors
    /// Ends the connection: the driver does not hear this piece.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A stream that somebody listens to.
pub struct Heard<S, L> {
    stream: S,
    listener: L,
}

impl<S, L: Listener> Heard<S, L> {
    /// `listener` hears first what comes from `stream`.
    pub fn new(stream: S, listener: L) -> Self {
        Self { stream, listener }
    }
}

/// Hears [`SAID_BYTES_MAX`] and no more.
pub struct Bound {
    left: usize,
}

impl Default for Bound {
    fn default() -> Self {
        Self { left: SAID_BYTES_MAX }
    }
}

impl Listener for Bound {
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or_else(|| io::Error::other("the server says too much"))?;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin, L: Listener> AsyncRead for Heard<S, L> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let heard = this.listener.hear(buffer.filled().get(before..).unwrap_or_default());
        if heard.is_err() {
            // Whoever fails has read nothing.
            buffer.set_filled(before);
        }
        Poll::Ready(heard)
    }
}

impl<S: AsyncWrite + Unpin, L: Listener> AsyncWrite for Heard<S, L> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_talks_without_end_is_not_listened_to() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let talker = tokio::spawn(async move { while far.write_all(&[7; 4_096]).await.is_ok() {} });
        let mut heard = Vec::new();
        let error = Heard::new(near, Bound::default()).read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.to_string(), "the server says too much");
        assert!(heard.len() <= SAID_BYTES_MAX, "{}", heard.len());
        talker.await.unwrap();
    }
}

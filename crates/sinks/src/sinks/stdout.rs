//! Standard output of the gateway, for whatever collects that.

use std::io::Write as _;

use keysherd_base::Fault;
use keysherd_wire::Group;

use crate::member::{Outlet, Receiver, Undelivered};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

static KIND: Kind = Kind {
    name: "stdout",
    receiver: "the gateway's standard output",
    fields: &Group { title: "Standard output", fields: &[] },
    shown: None,
    published: true,
};

/// The member.
pub(super) struct Stdout;

impl Sink for Stdout {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, _: &Settings, _: &Way) -> Result<Box<dyn Outlet>, Fault> {
        Ok(Box::new(Open))
    }
}

struct Open;

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        Vec::new()
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let text = batch.text();
        Box::pin(async move {
            // Whoever reads it may be slow, and must not hold up a thread that serves.
            let written = tokio::task::spawn_blocking(move || {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            });
            match written.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(Undelivered::later(format!("it is not written: {error}"))),
                Err(_) => Err(Undelivered::later("it is not written")),
            }
        })
    }
}

//! Logstash's tcp and udp inputs: one line for each record.

use keysherd_base::Fault;
use keysherd_wire::{Field, Group, Text};

use crate::fields::{ENABLE_TLS, TLS_CERTIFICATE, authority, kept};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::stream::{Place, Stream, datagrams, tls};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const DNS: Field<Text> = kept("dns", "The input, such as logstash.example:5044.");
const PROTOCOL: Field<Text> = kept("protocol", "How lines travel: tcp or udp.").default("tcp");
const PORT: u16 = 5044;

static KIND: Kind = Kind {
    name: "logstash",
    receiver: "a Logstash input",
    fields: &Group {
        title: "Logstash",
        fields: &[DNS.spec(), PROTOCOL.spec(), ENABLE_TLS.spec(), TLS_CERTIFICATE.spec()],
    },
    shown: Some(Shown {
        field: "logstash_config",
        content: &[
            ("logstash_dns", "dns"),
            ("logstash_enable_tls", "enable-tls"),
            ("logstash_protocol", "protocol"),
            ("logstash_tls_certificate", "tls-certificate"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct Logstash;

enum Open {
    Stream(Stream),
    Datagrams(Place),
}

impl Sink for Logstash {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let udp = settings.choice(&PROTOCOL, &["tcp", "udp"], "tcp")? == "udp";
        let ca = authority(settings)?;
        let encrypted = settings.flag(&ENABLE_TLS, ca.is_some());
        let place = Place::parse(DNS.name(), settings.need(&DNS)?, PORT, &way.egress)?;
        Ok(Box::new(match (udp, encrypted) {
            (true, true) => {
                return Err(bad("enable-tls", "there is no TLS over udp; take protocol tcp"));
            }
            (true, false) => Open::Datagrams(place),
            (false, true) => Open::Stream(Stream::new(place, Some(tls(ca.as_deref())?))),
            (false, false) => Open::Stream(Stream::new(place, None)),
        }))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        match self {
            Self::Stream(stream) => vec![stream.receiver()],
            Self::Datagrams(place) => vec![place.receiver("udp")],
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            match self {
                Self::Stream(stream) => stream.send(batch.text().as_bytes()).await,
                Self::Datagrams(place) => {
                    let lines = batch.lines.iter();
                    let lines: Vec<_> =
                        lines.map(|line| line.text(batch.format).into_bytes()).collect();
                    datagrams(place, &lines).await
                }
            }
        })
    }
}

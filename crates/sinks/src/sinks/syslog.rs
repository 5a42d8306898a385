//! Syslog: RFC 5424 messages over TCP with their length in front (RFC 6587 section 3.4.1), over TLS
//! (RFC 5425) or UDP (RFC 5426).

use keysherd_audit::Record;
use keysherd_base::Fault;
use keysherd_wire::{Field, Group, Text};

use crate::fields::{ENABLE_TLS, TLS_CERTIFICATE, authority, kept};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::stream::{Place, Stream, datagrams, tls};
use crate::{Batch, BoxFuture, Format, Kind, Line, Settings, Sink, Way};

const NETWORK: Field<Text> = kept("network", "How messages travel: tcp or udp.").default("tcp");
const HOST: Field<Text> =
    kept("host", "The receiver, such as logs.example:514; with TLS the usual port is 6514.");
const FORMATTER: Field<Text> =
    kept("formatter", "What a message is: text (see output-format) or cef.").default("text");
const TARGET_TAG: Field<Text> =
    kept("target-tag", "The application's name in messages.").default("audit-export");

const TAG: &str = "audit-export";
const TAG_BYTES_MAX: usize = 48;
const PORT: u16 = 514;
const TLS_PORT: u16 = 6514;
/// Facility "log audit" with severities "informational" and "warning".
const DONE: u8 = 13 * 8 + 6;
const FAILED: u8 = 13 * 8 + 4;

static KIND: Kind = Kind {
    name: "syslog",
    receiver: "a syslog receiver",
    fields: &Group {
        title: "Syslog",
        fields: &[
            NETWORK.spec(),
            HOST.spec(),
            FORMATTER.spec(),
            TARGET_TAG.spec(),
            ENABLE_TLS.spec(),
            TLS_CERTIFICATE.spec(),
        ],
    },
    shown: Some(Shown {
        field: "syslog_config",
        content: &[
            ("syslog_enable_tls", "enable-tls"),
            ("syslog_formatter", "formatter"),
            ("syslog_host", "host"),
            ("syslog_network", "network"),
            ("syslog_target_tag", "target-tag"),
            ("syslog_tls_certificate", "tls-certificate"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct Syslog;

enum Road {
    Stream(Stream),
    Datagrams(Place),
}

struct Open {
    road: Road,
    tag: String,
    cef: bool,
}

impl Sink for Syslog {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let udp = settings.choice(&NETWORK, &["tcp", "udp"], "tcp")? == "udp";
        let cef = settings.choice(&FORMATTER, &["text", "cef"], "text")? == "cef";
        let ca = authority(settings)?;
        let encrypted = settings.flag(&ENABLE_TLS, ca.is_some());
        if udp && encrypted {
            return Err(bad("enable-tls", "there is no TLS over udp; take network tcp"));
        }
        let tag = settings.text(&TARGET_TAG).unwrap_or(TAG).to_owned();
        if tag.len() > TAG_BYTES_MAX || !tag.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad("target-tag", "it must be at most 48 characters without spaces"));
        }
        let port = if encrypted { TLS_PORT } else { PORT };
        let place = Place::parse(HOST.name(), settings.need(&HOST)?, port, &way.egress)?;
        let road = match (udp, encrypted) {
            (true, _) => Road::Datagrams(place),
            (false, true) => Road::Stream(Stream::new(place, Some(tls(ca.as_deref())?))),
            (false, false) => Road::Stream(Stream::new(place, None)),
        };
        Ok(Box::new(Open { road, tag, cef }))
    }
}

impl Open {
    fn message(&self, line: &Line, format: Format) -> String {
        let priority = if line.succeeded() { DONE } else { FAILED };
        let time = line.time();
        let seconds = time.rfc3339();
        let seconds = seconds.trim_end_matches('Z');
        let (millis, tag) = (time.0.rem_euclid(1000), &self.tag);
        let text = if self.cef { cef(&line.record) } else { line.text(format) };
        format!("<{priority}>1 {seconds}.{millis:03}Z - {tag} - audit - {text}")
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        match &self.road {
            Road::Stream(stream) => vec![stream.receiver()],
            Road::Datagrams(place) => vec![place.receiver("udp")],
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let messages = batch.lines.iter().map(|line| self.message(line, batch.format));
        match &self.road {
            Road::Stream(stream) => {
                let framed: String =
                    messages.map(|message| format!("{} {message}", message.len())).collect();
                Box::pin(async move { stream.send(framed.as_bytes()).await })
            }
            Road::Datagrams(place) => {
                let messages: Vec<_> = messages.map(String::into_bytes).collect();
                Box::pin(async move { datagrams(place, &messages).await })
            }
        }
    }
}

/// A record in the Common Event Format.
fn cef(record: &Record) -> String {
    let draft = &record.draft;
    let severity = if record.status < 400 { 3 } else { 6 };
    let head = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|");
    let value = |text: &str| {
        text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
    };
    let action = head(&draft.action);
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("CEF:0|Keysherd|Keysherd|{version}|{action}|{action}|{severity}|");
    let mut add = |key: &str, given: &str| {
        if !given.is_empty() {
            text.push_str(&format!("{key}={} ", value(given)));
        }
    };
    add("rt", &record.time.0.to_string());
    add("externalId", &record.seq.to_string());
    add("act", &draft.action);
    add("outcome", &record.status.to_string());
    add("suid", draft.access_id.as_ref().map_or("", |id| id.as_str()));
    add("suser", &draft.unique_id);
    add("src", &draft.client_address.map_or_else(String::new, |address| address.to_string()));
    add("msg", &record.line());
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use keysherd_egress::Egress;

    use super::*;
    use crate::testing::line;

    fn open(tag: &str, cef: bool) -> Open {
        let place = Place::parse("host", "127.0.0.1", PORT, &Egress::default()).unwrap();
        Open { road: Road::Datagrams(place), tag: tag.to_owned(), cef }
    }

    #[test]
    fn a_message_has_the_shape_of_rfc_5424() {
        let message = open("audit-export", false).message(&line(41), Format::Text);
        let begin = "<110>1 2026-01-05T10:11:12.345Z - audit-export - audit - 2026-01-05T10:11:12Z \
                     seq_num=41 ";
        assert!(message.starts_with(begin), "{message}");
        let mut failed = line(1);
        failed.record.status = 403;
        assert!(open("t", false).message(&failed, Format::Json).starts_with("<108>1 "));
    }

    #[test]
    fn cef_is_escaped() {
        let mut line = line(41);
        line.record.draft.unique_id = "eve=1|\n src=9.9.9.9".into();
        let message = open("t", true).message(&line, Format::Text);
        assert!(message.contains("CEF:0|Keysherd|"), "{message}");
        assert!(message.contains(r"suser=eve\=1|\n src\=9.9.9.9 "), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}

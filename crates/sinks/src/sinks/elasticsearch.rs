//! Elasticsearch's bulk interface. A record's id is that of its account and its number, so what is
//! sent twice is there once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Secret, SecretString};
use keysherd_egress::Egress;
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::{ENABLE_TLS, TLS_CERTIFICATE, authority, kept};
use crate::http::{Http, Request, below, header_value, json as as_json, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::{Batch, BoxFuture, Format, Kind, Settings, Sink, Way};

const SERVER_TYPE: Field<Text> =
    kept("server-type", "How it is found: cloud (by cloud-id) or nodes.").default("nodes");
const CLOUD_ID: Field<Text> = kept("cloud-id", "The id of a deployment in Elastic's cloud.");
const NODES: Field<Text> = kept("nodes", "Addresses with commas, such as https://es.example:9200.");
const INDEX: Field<Text> = kept("index", "The index that the records go to.");
const AUTH_TYPE: Field<Text> = kept("auth-type", "How to sign in: api_key or password.");
const API_KEY: Field<Text> = kept("api-key", "The API key, encoded as it is shown.").secret();
const USER_NAME: Field<Text> = kept("user-name", "The user, for password.");
const PASSWORD: Field<Text> = kept("password", "The user's password.").secret();
/// Most nodes.
const NODES_MAX: usize = 32;

static KIND: Kind = Kind {
    name: "elasticsearch",
    receiver: "Elasticsearch",
    fields: &Group {
        title: "Elasticsearch",
        fields: &[
            SERVER_TYPE.spec(),
            CLOUD_ID.spec(),
            NODES.spec(),
            INDEX.spec(),
            AUTH_TYPE.spec(),
            API_KEY.spec(),
            USER_NAME.spec(),
            PASSWORD.spec(),
            ENABLE_TLS.spec(),
            TLS_CERTIFICATE.spec(),
        ],
    },
    shown: Some(Shown {
        field: "elasticsearch_config",
        content: &[
            ("elasticsearch_auth_type", "auth-type"),
            ("elasticsearch_cloud_id", "cloud-id"),
            ("elasticsearch_enable_tls", "enable-tls"),
            ("elasticsearch_index", "index"),
            ("elasticsearch_nodes", "nodes"),
            ("elasticsearch_server_type", "server-type"),
            ("elasticsearch_tls_certificate", "tls-certificate"),
            ("elasticsearch_user_name", "user-name"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct Elasticsearch;

struct Open {
    http: Http,
    nodes: Vec<Url>,
    /// The node that is asked.
    at: usize,
    authorization: SecretString,
    index: String,
}

impl Sink for Elasticsearch {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let index = settings.need(&INDEX)?.to_owned();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if index.len() > 255 || !index.bytes().all(plain) || index.starts_with(['-', '_', '.']) {
            return Err(bad(INDEX.name(), "it must be the name of an index, such as audit-logs"));
        }
        let by_cloud = if settings.text(&CLOUD_ID).is_some() { "cloud" } else { "nodes" };
        let nodes = match settings.choice(&SERVER_TYPE, &["cloud", "nodes"], by_cloud)? {
            "cloud" => vec![cloud(settings.need(&CLOUD_ID)?, &way.egress)?],
            _ => nodes(settings.need(&NODES)?, &way.egress)?,
        };
        Ok(Box::new(Open {
            http: Http::new(authority(settings)?.as_deref(), &way.egress)?,
            nodes,
            at: 0,
            authorization: authorization(settings)?,
            index,
        }))
    }
}

fn authorization(settings: &Settings) -> Result<SecretString, Fault> {
    let by_key = if settings.text(&API_KEY).is_some() { "api_key" } else { "password" };
    match settings.choice(&AUTH_TYPE, &["api_key", "password"], by_key)? {
        "api_key" => {
            let key = settings.secret(&API_KEY)?;
            header_value(API_KEY.name(), key.expose())?;
            Ok(Secret::new(format!("ApiKey {}", key.expose())))
        }
        _ => {
            let user = settings.need(&USER_NAME)?;
            if user.contains(':') {
                return Err(bad(USER_NAME.name(), "it has a colon"));
            }
            let pair = Secret::new(format!("{user}:{}", settings.secret(&PASSWORD)?.expose()));
            Ok(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
        }
    }
}

fn nodes(text: &str, egress: &Egress) -> Result<Vec<Url>, Fault> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let nodes: Vec<_> =
        parts.map(|part| receiver_url(NODES.name(), part, egress)).collect::<Result<_, _>>()?;
    if nodes.is_empty() || nodes.len() > NODES_MAX {
        return Err(bad(NODES.name(), "it must be 1 to 32 addresses"));
    }
    Ok(nodes)
}

/// The address in a cloud id: `name:base64(host[:port]$deployment[$...])`.
fn cloud(id: &str, egress: &Egress) -> Result<Url, Fault> {
    let read = || {
        let encoded = id.rsplit_once(':')?.1;
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let mut parts = text.split('$');
        let (host, deployment) = (parts.next()?, parts.next()?);
        let (host, port) = host.split_once(':').unwrap_or((host, "443"));
        let text = format!("https://{deployment}.{host}:{port}");
        receiver_url(CLOUD_ID.name(), &text, egress).ok()
    };
    read().ok_or_else(|| bad(CLOUD_ID.name(), "it must be as Elastic's console shows it"))
}

impl Open {
    fn body(&self, batch: &Batch<'_>) -> Vec<u8> {
        let mut body = String::new();
        for line in batch.lines {
            let id = format!("{}-{}", batch.account, line.seq());
            let action = json!({ "index": { "_index": self.index, "_id": id } });
            let mut document = match batch.format {
                Format::Json => line.json(),
                Format::Text => json!({ "message": line.text(Format::Text) }),
            };
            document["@timestamp"] = line.time().rfc3339().into();
            body.push_str(&format!("{action}\n{document}\n"));
        }
        body.into_bytes()
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        self.nodes.iter().map(receiver).collect()
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let body = self.body(&batch);
        Box::pin(async move {
            let node = self.nodes.get(self.at % self.nodes.len());
            let node = node.ok_or_else(|| Undelivered::refused("no node"))?;
            let headers = [
                ("authorization", self.authorization.expose().as_str()),
                ("content-type", "application/x-ndjson"),
            ];
            let sent = self.http.send(Request::post(&below(node, "_bulk"), &headers, body)).await;
            if let Err(Undelivered::Later { .. }) = &sent {
                // The next one may be well.
                self.at = self.at.wrapping_add(1);
            }
            judge(&as_json(&sent?)?)
        })
    }
}

/// What became of each record.
fn judge(answer: &Value) -> Result<(), Undelivered> {
    let Some(errors) = answer["errors"].as_bool() else {
        return Err(Undelivered::later("its answer is not that of a bulk request"));
    };
    if !errors {
        return Ok(());
    }
    let items = answer["items"].as_array().into_iter().flatten();
    let failed = items.filter_map(|item| {
        let status = item["index"]["status"].as_u64()?;
        (status >= 300).then_some(status)
    });
    let failed: Vec<_> = failed.collect();
    let fate = failed.iter().find(|status| **status != 429 && **status < 500);
    match (fate, failed.first()) {
        (Some(status), _) => Err(Undelivered::refused(format!(
            "it refuses {} records, the first with status {status}",
            failed.len(),
        ))),
        (None, Some(status)) => {
            Err(Undelivered::later(format!("it is overloaded, with status {status}")))
        }
        (None, None) => Err(Undelivered::later("it says that records failed, but not which")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_of_a_bulk_answer_counts() {
        let item = |status: u16| json!({"index": {"status": status, "error": {"type": "x"}}});
        let good = json!({"errors": false, "items": []});
        assert_eq!(judge(&good), Ok(()));
        let busy = json!({"errors": true, "items": [item(201), item(429)]});
        assert!(matches!(judge(&busy), Err(Undelivered::Later { .. })));
        let refused = json!({"errors": true, "items": [item(201), item(400), item(429)]});
        assert!(matches!(judge(&refused), Err(Undelivered::Refused { .. })));
        for garbage in [json!({}), json!({"errors": "no"}), json!({"errors": true})] {
            assert!(judge(&garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_cloud_id_names_a_host() {
        let id = format!("prod:{}", STANDARD.encode("eu.aws.example:9243$0a1b$2c3d"));
        assert_eq!(
            cloud(&id, &Egress::default()).unwrap().as_str(),
            "https://0a1b.eu.aws.example:9243/"
        );
        for wrong in ["", "prod", "prod:%%%", "prod:", "prod:aG9zdA=="] {
            assert!(cloud(wrong, &Egress::default()).is_err(), "{wrong}");
        }
    }
}

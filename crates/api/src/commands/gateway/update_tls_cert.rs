//! `gateway-update-tls-cert`: the certificate that clients of the cluster's gateways see.

use keysherd_authn::pem_text;
use keysherd_base::{Fault, Secret, SecretString};
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, List, Show, Spec, Text};
use serde::Serialize;

use crate::certificate::{CERTIFICATE_CONFIG, CertificateWish};
use crate::commands::ApiCommand;
use crate::configs::Config;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// Most days at which the log warns.
const WARNINGS_MAX: usize = 10;
/// Longest time ahead of the end that makes sense.
const WARN_DAYS_MAX: u32 = 3_650;
/// When the log warns unless told otherwise.
const WARN_DAYS: [u32; 3] = [30, 7, 1];

const CERT_DATA: Field<Text> = Field::text(
    "cert-data",
    "Certificate chain, leaf first: PEM, or that in base64; none: the gateway's own again.",
);
const KEY_DATA: Field<Text> =
    Field::text("key-data", "Its private key: PEM, or that in base64.").secret();
const EXPIRATION_EVENT_IN: Field<List> =
    Field::list("expiration-event-in", "Days before its end at which the gateway warns.")
        .default("30, 7, 1");

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-tls-cert",
        aliases: &[],
        success: 201,
        summary: "Set the certificate that clients see; it is in force with no restart.",
        groups: &[&SESSION],
        fields: &[CERT_DATA.spec(), KEY_DATA.spec(), EXPIRATION_EVENT_IN.spec()],
        reply: "GatewayUpdateTlsCertOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The certificate was set"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    let services = ctx.services();
    let access_id = services.certificate.set_by(account)?;
    let wish = wish(&args)?;
    services.certificate.check(&wish)?;
    let known = services.configs.get(account, CERTIFICATE_CONFIG, "")?;
    let replaces = known.map(|_| "");
    let (kind, name, body) = (CERTIFICATE_CONFIG, String::new(), wish.to_json()?);
    services.configs.put(Config { account, kind, name, access_id, body }, replaces).await?;
    services.certificate.changed();
    Answer::json(&Reply { updated: true })
}

fn wish(args: &Args) -> Result<CertificateWish, Fault> {
    let chain = args.get(&CERT_DATA)?.filter(|text| !text.trim().is_empty());
    let key = args.secret(&KEY_DATA)?.filter(|text| !text.expose().trim().is_empty());
    if chain.is_some() != key.is_some() {
        return Err(Fault::bad_request("give 'cert-data' and 'key-data' together, or neither"));
    }
    let chain = chain.map(|text| pem(CERT_DATA.name(), &Secret::new(text))).transpose()?;
    let key = key.map(|text| pem(KEY_DATA.name(), &text)).transpose()?;
    let warn_days = match args.get(&EXPIRATION_EVENT_IN)? {
        None => WARN_DAYS.to_vec(),
        Some(days) => warn_days(&days)?,
    };
    Ok(CertificateWish { chain: chain.map(|text| text.expose().clone()), key, warn_days })
}

fn pem(field: &str, given: &SecretString) -> Result<SecretString, Fault> {
    pem_text(given.expose()).map(Secret::new).ok_or_else(|| {
        Fault::bad_request(format!("invalid value of '{field}': it must be PEM, or that in base64"))
    })
}

fn warn_days(given: &[String]) -> Result<Vec<u32>, Fault> {
    let wrong = || {
        Fault::bad_request(format!(
            "invalid value of 'expiration-event-in': at most {WARNINGS_MAX} whole numbers of \
             days, each from 1 to {WARN_DAYS_MAX}"
        ))
    };
    let day = |text: &String| {
        let day = text.trim().parse().ok().filter(|day| (1..=WARN_DAYS_MAX).contains(day));
        day.ok_or_else(wrong)
    };
    if given.len() > WARNINGS_MAX {
        return Err(wrong());
    }
    given.iter().map(day).collect()
}

//! ZeroSSL, which issues certificates and mails what proves domains.

use keysherd_wire::{Field, Group, Text};

use crate::kept::{Kept, Probe, need_all, place};
use crate::{Kind, Spelling};

const KEY: Field<Text> = Field::text("api-key", "The API key.").secret();
const IMAP_HOST: Field<Text> =
    Field::text("imap-fqdn", "The mail server that proofs of domains arrive at.");
const IMAP_PORT: Field<Text> = Field::text("imap-port", "Its port.").default("993");
const IMAP_USER: Field<Text> = Field::text("imap-username", "Whose mailbox it is.");
const IMAP_PASSWORD: Field<Text> = Field::text("imap-password", "Their password.").secret();
const EMAIL: Field<Text> = Field::text("imap-target-email", "The address that proofs are sent to.");
const TIMEOUT: Field<Text> =
    Field::text("timeout", "How long a certificate may take, such as 5m.").default("5m");

static KIND: Kind = Kind {
    name: "zerossl",
    what: "an account at ZeroSSL",
    create: &[
        Spelling::current("target-create-zerossl", "TargetCreateZeroSSL", "TargetCreateOutput"),
        Spelling::older(
            "create-zerossl-target",
            "CreateZeroSSLTarget",
            "CreateZeroSSLTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-zerossl", "TargetUpdateZeroSSL", "TargetUpdateOutput"),
        Spelling::older(
            "update-zerossl-target",
            "UpdateZeroSSLTarget",
            "UpdateZeroSSLTargetOutput",
        ),
    ],
    fields: &Group {
        title: "ZeroSSL",
        fields: &[
            KEY.spec(),
            IMAP_HOST.spec(),
            IMAP_PORT.spec(),
            IMAP_USER.spec(),
            IMAP_PASSWORD.spec(),
            EMAIL.spec(),
            TIMEOUT.spec(),
        ],
    },
    whereabouts: &["imap-fqdn", "imap-username"],
    types: &["zerossl"],
};

/// The port of mailboxes over TLS (RFC 8314).
const IMAPS: u16 = 993;

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "zerossl_target_details",
    shown: &[
        ("api_key", "api-key"),
        ("imap_fqdn", "imap-fqdn"),
        ("imap_password", "imap-password"),
        ("imap_port", "imap-port"),
        ("imap_user", "imap-username"),
        ("validation_email", "imap-target-email"),
    ],
    flags: &[],
    check: |settings| {
        place(settings, &IMAP_HOST, &IMAP_PORT, IMAPS)?;
        need_all(settings, &[&KEY, &IMAP_USER, &IMAP_PASSWORD])
    },
    probe: Probe::Reach(|settings| place(settings, &IMAP_HOST, &IMAP_PORT, IMAPS)),
};

//! GoDaddy, which issues certificates and mails what proves domains.

use keysherd_wire::{Field, Group, Text};

use crate::kept::{Kept, Probe, need_all, place};
use crate::{Kind, Spelling};

const KEY: Field<Text> = Field::text("api-key", "The API key.").secret();
const SECRET: Field<Text> = Field::text("secret", "Its secret.").secret();
const CUSTOMER: Field<Text> =
    Field::text("customer-id", "The customer, where the key is a reseller's.")
        .documented_as("customer_id");
const IMAP_HOST: Field<Text> =
    Field::text("imap-fqdn", "The mail server that proofs of domains arrive at.");
const IMAP_PORT: Field<Text> = Field::text("imap-port", "Its port.").default("993");
const IMAP_USER: Field<Text> = Field::text("imap-username", "Whose mailbox it is.");
const IMAP_PASSWORD: Field<Text> = Field::text("imap-password", "Their password.").secret();
const TIMEOUT: Field<Text> =
    Field::text("timeout", "How long a certificate may take, such as 5m.").default("5m");

static KIND: Kind = Kind {
    name: "godaddy",
    what: "an account at GoDaddy",
    create: &[
        Spelling::current("target-create-godaddy", "TargetCreateGodaddy", "TargetCreateOutput"),
        Spelling::older(
            "create-godaddy-target",
            "CreateGodaddyTarget",
            "CreateGodaddyTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-godaddy", "TargetUpdateGodaddy", "TargetUpdateOutput"),
        Spelling::older(
            "update-godaddy-target",
            "UpdateGodaddyTarget",
            "UpdateGodaddyTargetOutput",
        ),
    ],
    fields: &Group {
        title: "GoDaddy",
        fields: &[
            KEY.spec(),
            SECRET.spec(),
            CUSTOMER.spec(),
            IMAP_HOST.spec(),
            IMAP_PORT.spec(),
            IMAP_USER.spec(),
            IMAP_PASSWORD.spec(),
            TIMEOUT.spec(),
        ],
    },
    whereabouts: &["imap-fqdn", "imap-username"],
    types: &["godaddy"],
};

/// The port of mailboxes over TLS (RFC 8314).
const IMAPS: u16 = 993;

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "godaddy_target_details",
    shown: &[
        ("imap_fqdn", "imap-fqdn"),
        ("imap_password", "imap-password"),
        ("imap_port", "imap-port"),
        ("imap_user", "imap-username"),
        ("key", "api-key"),
        ("secret", "secret"),
        ("shopper_id", "customer-id"),
    ],
    flags: &[],
    check: |settings| {
        place(settings, &IMAP_HOST, &IMAP_PORT, IMAPS)?;
        need_all(settings, &[&KEY, &SECRET, &IMAP_USER, &IMAP_PASSWORD])
    },
    probe: Probe::Reach(|settings| place(settings, &IMAP_HOST, &IMAP_PORT, IMAPS)),
};

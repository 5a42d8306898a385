//! Salesforce. Nobody signs in there yet.

use keysherd_wire::{Field, Group, Text};

use crate::kept::{Kept, Probe, need_all, server};
use crate::{Kind, Spelling};

const URL: Field<Text> =
    Field::text("tenant-url", "Where it is, such as https://acme.my.salesforce.com.");
const FLOW: Field<Text> = Field::text("auth-flow", "How one signs in: user-password or jwt.");
const CLIENT: Field<Text> = Field::text("client-id", "The connected app.");
const CLIENT_SECRET: Field<Text> = Field::text("client-secret", "Its secret.").secret();
const EMAIL: Field<Text> = Field::text("email", "Who signs in.");
const PASSWORD: Field<Text> =
    Field::text("password", "Their password, with user-password.").secret();
const SECURITY: Field<Text> =
    Field::text("security-token", "What Salesforce wants beside a password.").secret();
const KEY: Field<Text> =
    Field::text("app-private-key-data", "The private key of the connected app, with jwt.").secret();
const CA: Field<Text> = Field::text("ca-cert-data", "The certificate of that key.");
const CA_NAME: Field<Text> = Field::text("ca-cert-name", "What Salesforce calls it.");

static KIND: Kind = Kind {
    name: "salesforce",
    what: "an organization at Salesforce",
    create: &[
        Spelling::current(
            "target-create-salesforce",
            "TargetCreateSalesforce",
            "TargetCreateOutput",
        ),
        Spelling::older(
            "create-salesforce-target",
            "CreateSalesforceTarget",
            "CreateSalesforceTargetOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "target-update-salesforce",
            "TargetUpdateSalesforce",
            "TargetUpdateOutput",
        ),
        Spelling::older(
            "update-salesforce-target",
            "UpdateSalesforceTarget",
            "UpdateSalesforceTargetOutput",
        ),
    ],
    fields: &Group {
        title: "Salesforce",
        fields: &[
            URL.spec(),
            FLOW.spec(),
            CLIENT.spec(),
            CLIENT_SECRET.spec(),
            EMAIL.spec(),
            PASSWORD.spec(),
            SECURITY.spec(),
            KEY.spec(),
            CA.spec(),
            CA_NAME.spec(),
        ],
    },
    whereabouts: &["tenant-url", "client-id", "email"],
    types: &["salesforce"],
};

const FLOWS: [&str; 2] = ["user-password", "jwt"];

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "salesforce_target_details",
    shown: &[
        ("auth_flow", "auth-flow"),
        ("ca_cert_name", "ca-cert-name"),
        ("client_id", "client-id"),
        ("client_secret", "client-secret"),
        ("password", "password"),
        ("security_token", "security-token"),
        ("tenant_url", "tenant-url"),
        ("user_name", "email"),
    ],
    flags: &[],
    check: |settings| {
        server(settings, &URL)?;
        need_all(settings, &[&FLOW, &CLIENT, &EMAIL])?;
        match settings.choice(&FLOW, &FLOWS, FLOWS[0])? {
            "jwt" => need_all(settings, &[&KEY]),
            _ => need_all(settings, &[&CLIENT_SECRET, &PASSWORD]),
        }
    },
    probe: Probe::Reach(|settings| server(settings, &URL).map(|server| server.place())),
};

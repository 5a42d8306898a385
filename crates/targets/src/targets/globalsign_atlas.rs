//! GlobalSign Atlas, which issues certificates.

use keysherd_egress::Target as Place;
use keysherd_wire::{Field, Group, Text};

use crate::kept::{Kept, Probe, need_all};
use crate::{Kind, Spelling};

const KEY: Field<Text> = Field::text("api-key", "The API key.").secret();
const SECRET: Field<Text> = Field::text("api-secret", "Its secret.").secret();
const CERTIFICATE: Field<Text> =
    Field::text("mtls-cert-data-base64", "The certificate that the gateway shows, in base64.");
const CERTIFICATE_KEY: Field<Text> =
    Field::text("mtls-key-data-base64", "Its key, in base64.").secret();
const TIMEOUT: Field<Text> =
    Field::text("timeout", "How long a certificate may take, such as 5m.").default("5m");

static KIND: Kind = Kind {
    name: "globalsign-atlas",
    what: "an account at GlobalSign Atlas",
    create: &[
        Spelling::current(
            "target-create-globalsign-atlas",
            "TargetCreateGlobalSignAtlas",
            "TargetCreateOutput",
        ),
        Spelling::older(
            "create-globalsign-atlas-target",
            "CreateGlobalSignAtlasTarget",
            "CreateGlobalSignAtlasTargetOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "target-update-globalsign-atlas",
            "TargetUpdateGlobalSignAtlas",
            "TargetUpdateOutput",
        ),
        Spelling::older(
            "update-globalsign-atlas-target",
            "UpdateGlobalSignAtlasTarget",
            "UpdateGlobalSignAtlasTargetOutput",
        ),
    ],
    fields: &Group {
        title: "GlobalSign Atlas",
        fields: &[
            KEY.spec(),
            SECRET.spec(),
            CERTIFICATE.spec(),
            CERTIFICATE_KEY.spec(),
            TIMEOUT.spec(),
        ],
    },
    whereabouts: &["mtls-cert-data-base64"],
    types: &["globalsign-atlas"],
};

/// Where it is.
const HOST: &str = "emea.api.hvca.globalsign.com";

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "globalsign_atlas_target_details",
    shown: &[
        ("api_key", "api-key"),
        ("api_secret", "api-secret"),
        ("mtls_cert", "mtls-cert-data-base64"),
        ("mtls_key", "mtls-key-data-base64"),
    ],
    flags: &[],
    check: |settings| need_all(settings, &[&KEY, &SECRET]),
    probe: Probe::Reach(|_| Ok(Place::new(HOST, 8443))),
};

//! GlobalSign, which issues certificates.

use keysherd_egress::Target as Place;
use keysherd_wire::{Field, Group, Text};

use crate::kept::{Kept, Probe, need_all};
use crate::{Kind, Spelling};

const USER: Field<Text> = Field::text("username", "Who orders certificates.");
const PASSWORD: Field<Text> = Field::text("password", "Their password.").secret();
const PROFILE: Field<Text> = Field::text("profile-id", "The profile that certificates are of.");
const FIRST: Field<Text> =
    Field::text("contact-first-name", "Whom GlobalSign asks: the first name.");
const LAST: Field<Text> = Field::text("contact-last-name", "Whom GlobalSign asks: the last name.");
const EMAIL: Field<Text> = Field::text("contact-email", "Where they are written to.");
const PHONE: Field<Text> = Field::text("contact-phone", "Where they are called.");
const TIMEOUT: Field<Text> =
    Field::text("timeout", "How long a certificate may take, such as 5m.").default("5m");

static KIND: Kind = Kind {
    name: "globalsign",
    what: "an account at GlobalSign",
    create: &[
        Spelling::current(
            "target-create-globalsign",
            "TargetCreateGlobalSign",
            "TargetCreateOutput",
        ),
        Spelling::older(
            "create-globalsign-target",
            "CreateGlobalSignTarget",
            "CreateGlobalSignTargetOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "target-update-globalsign",
            "TargetUpdateGlobalSign",
            "TargetUpdateOutput",
        ),
        Spelling::older(
            "update-globalsign-target",
            "UpdateGlobalSignTarget",
            "UpdateGlobalSignTargetOutput",
        ),
    ],
    fields: &Group {
        title: "GlobalSign",
        fields: &[
            USER.spec(),
            PASSWORD.spec(),
            PROFILE.spec(),
            FIRST.spec(),
            LAST.spec(),
            EMAIL.spec(),
            PHONE.spec(),
            TIMEOUT.spec(),
        ],
    },
    whereabouts: &["username"],
    types: &["globalsign"],
};

/// Where it is.
const HOST: &str = "system.globalsign.com";

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "globalsign_target_details",
    shown: &[
        ("email", "contact-email"),
        ("first_name", "contact-first-name"),
        ("last_name", "contact-last-name"),
        ("password", "password"),
        ("phone", "contact-phone"),
        ("profile_id", "profile-id"),
        ("username", "username"),
    ],
    flags: &[],
    check: |settings| {
        need_all(settings, &[&USER, &PASSWORD, &PROFILE, &FIRST, &LAST, &EMAIL, &PHONE])
    },
    probe: Probe::Reach(|_| Ok(Place::new(HOST, 443))),
};

//! F5 BIG-IP, by iControl REST.

use keysherd_base::Fault;
use keysherd_wire::{Field, Group, Text};

use crate::kept::{Door, DoorKey, Kept, Probe, server};
use crate::{Kind, Settings, Spelling};

const URL: Field<Text> = Field::text("url", "Where it is, such as https://bigip.example.");
const USER: Field<Text> = Field::text("username", "Who administers it.");
const PASSWORD: Field<Text> = Field::text("password", "Their password.").secret();

static KIND: Kind = Kind {
    name: "f5-big-ip",
    what: "an F5 BIG-IP",
    create: &[
        Spelling::current("target-create-f5-big-ip", "TargetCreateF5BigIp", "TargetCreateOutput"),
        Spelling::older(
            "create-f5-big-ip-target",
            "CreateF5BigIpTarget",
            "CreateF5BigIpTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-f5-big-ip", "TargetUpdateF5BigIp", "TargetUpdateOutput"),
        Spelling::older(
            "update-f5-big-ip-target",
            "UpdateF5BigIpTarget",
            "UpdateF5BigIpTargetOutput",
        ),
    ],
    fields: &Group { title: "F5 BIG-IP", fields: &[URL.spec(), USER.spec(), PASSWORD.spec()] },
    whereabouts: &["url", "username"],
    types: &["f5-big-ip"],
};

fn door(settings: &Settings) -> Result<Door, Fault> {
    let key = DoorKey::Password(settings.need(&USER)?.to_owned(), settings.secret(&PASSWORD)?);
    Ok(Door { server: server(settings, &URL)?, key })
}

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "f5_big_ip_target_details",
    shown: &[("password", "password"), ("url", "url"), ("username", "username")],
    flags: &[],
    check: |settings| door(settings).map(drop),
    probe: Probe::See(&["mgmt", "tm", "sys", "version"], door),
};

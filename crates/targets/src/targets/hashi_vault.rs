//! HashiCorp Vault, and OpenBao.

use keysherd_base::Fault;
use keysherd_wire::{Field, Group, List, Text, bad_setting};

use crate::kept::{Door, DoorKey, Kept, Probe, server};
use crate::lender::is_token;
use crate::{Kind, Settings, Spelling};

const URL: Field<Text> =
    Field::text("hashi-url", "Where it is, such as https://vault.example:8200.");
const TOKEN: Field<Text> = Field::text("vault-token", "A token of it.").secret();
const NAMESPACES: Field<List> = Field::list("namespace", "Its namespaces, for readers.");

static KIND: Kind = Kind {
    name: "hashi-vault",
    what: "a HashiCorp Vault",
    create: &[
        Spelling::current(
            "target-create-hashi-vault",
            "TargetCreateHashiVault",
            "TargetCreateOutput",
        ),
        Spelling::older(
            "create-hashi-vault-target",
            "CreateHashiVaultTarget",
            "CreateHashiVaultTargetOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "target-update-hashi-vault",
            "TargetUpdateHashiVault",
            "TargetUpdateOutput",
        ),
        Spelling::older(
            "update-hashi-vault-target",
            "UpdateHashiVaultTarget",
            "UpdateHashiVaultTargetOutput",
        ),
    ],
    fields: &Group {
        title: "HashiCorp Vault",
        fields: &[URL.spec(), TOKEN.spec(), NAMESPACES.spec()],
    },
    whereabouts: &["hashi-url"],
    types: &["hashi-vault"],
};

fn door(settings: &Settings) -> Result<Door, Fault> {
    let token = settings.secret(&TOKEN)?;
    if !is_token(token.expose()) {
        return Err(bad_setting(TOKEN.name(), "it is no token"));
    }
    Ok(Door { server: server(settings, &URL)?, key: DoorKey::Header("X-Vault-Token", token) })
}

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "hashi_vault_target_details",
    shown: &[("vault_token", "vault-token"), ("vault_url", "hashi-url")],
    flags: &[],
    check: |settings| door(settings).map(drop),
    probe: Probe::See(&["v1", "auth", "token", "lookup-self"], door),
};

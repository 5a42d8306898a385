//! The secure-access block that commands about items share: accepted, not in force yet.

use keysherd_wire::{Field, Flag, Group, List, Text};

const ENABLE: Field<Text> =
    Field::text("secure-access-enable", "Whether remote access to the item is on.").inert();
const HOST: Field<List> = Field::list("secure-access-host", "Hosts the item opens.").inert();
const URL: Field<Text> = Field::text("secure-access-url", "Address the item opens.").inert();
const SSH_CREDS: Field<Text> =
    Field::text("secure-access-ssh-creds", "What the item holds: password or private key.").inert();
const SSH_USER: Field<Text> = Field::text("secure-access-ssh-user", "SSH user.").inert();
const RDP_USER: Field<Text> = Field::text("secure-access-rdp-user", "RDP user.").inert();
const CERTIFICATE_ISSUER: Field<Text> =
    Field::text("secure-access-certificate-issuer", "Issuer of SSH certificates.").inert();
const BASTION_ISSUER: Field<Text> =
    Field::text("secure-access-bastion-issuer", "Issuer of SSH certificates, older name.").inert();
const WEB_BROWSING: Field<Flag> =
    Field::flag("secure-access-web-browsing", "Secure browser over the remote access.").inert();
const WEB_PROXY: Field<Flag> =
    Field::flag("secure-access-web-proxy", "Web proxy over the remote access.").inert();
const GATEWAY: Field<Text> =
    Field::text("secure-access-gateway", "Gateway that gives the remote access.").inert();
const ENFORCE_HOSTS: Field<Flag> = Field::flag(
    "secure-access-enforce-hosts-restriction",
    "Whether only the listed hosts may be reached.",
)
.inert();

/// Fields of remote access.
pub(crate) const SECURE_ACCESS: Group = Group {
    title: "Remote access",
    fields: &[
        ENABLE.spec(),
        HOST.spec(),
        URL.spec(),
        SSH_CREDS.spec(),
        SSH_USER.spec(),
        RDP_USER.spec(),
        CERTIFICATE_ISSUER.spec(),
        BASTION_ISSUER.spec(),
        WEB_BROWSING.spec(),
        WEB_PROXY.spec(),
        GATEWAY.spec(),
        ENFORCE_HOSTS.spec(),
    ],
};

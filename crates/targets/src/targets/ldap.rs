//! Directories: OpenLDAP and what behaves as it does, and Active Directory.

use keysherd_base::Fault;
use keysherd_wire::{Field, Group, Text};
use serde_json::{Map, Value};

use crate::ldap::{Directory, DirectoryGiven};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const URL: Field<Text> = Field::text(
    "ldap-url",
    "Where it is, such as ldaps://directory.example:636; with ldap:// StartTLS follows, except on \
     the gateway's machine.",
);
const BIND_DN: Field<Text> =
    Field::text("bind-dn", "The name of who makes and removes entries there.");
const PASSWORD: Field<Text> =
    Field::text("bind-dn-password", "The password of that name.").secret();
const AUTHORITY: Field<Text> = Field::text(
    "ldap-ca-cert",
    "Certificates of the authorities that vouch for it, PEM or that in base64; none: those of the \
     gateway's machine.",
);
const SERVER_TYPE: Field<Text> =
    Field::text("server-type", "Whose directory it is: OpenLDAP or ActiveDirectory.")
        .default("OpenLDAP")
        .choices(&SERVERS);
const TOKEN_EXPIRATION: Field<Text> =
    Field::text("token-expiration", "Kept for clients that read it.");
const USERNAME: Field<Text> = Field::text("username", "Kept for clients that read it.");

const SERVERS: [&str; 2] = ["OpenLDAP", "ActiveDirectory"];

static KIND: Kind = Kind {
    name: "ldap",
    what: "a directory",
    create: &[
        Spelling::current("target-create-ldap", "TargetCreateLdap", "TargetCreateOutput"),
        Spelling::older("create-ldap-target", "CreateLdapTarget", "CreateLdapTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-ldap", "TargetUpdateLdap", "TargetUpdateOutput"),
        Spelling::older("update-ldap-target", "UpdateLdapTarget", "UpdateLdapTargetOutput"),
        Spelling::older(
            "update-ldap-target-details",
            "UpdateLdapTargetDetails",
            "UpdateTargetOutput",
        ),
    ],
    fields: &Group {
        title: "Directory",
        fields: &[
            URL.spec(),
            BIND_DN.spec(),
            PASSWORD.spec(),
            AUTHORITY.spec(),
            SERVER_TYPE.spec(),
            TOKEN_EXPIRATION.spec(),
            USERNAME.spec(),
        ],
    },
    whereabouts: &["ldap-url", "ldap-ca-cert"],
    types: &["ldap"],
};

/// The directory that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn directory(settings: &Settings) -> Result<Directory, Fault> {
    Directory::new(DirectoryGiven {
        url: Named::of(settings, &URL),
        bind_dn: Named::of(settings, &BIND_DN),
        password: Named::of(settings, &PASSWORD),
        authority: Named::of(settings, &AUTHORITY),
    })
}

/// Whether these settings of a target say that it is Active Directory.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn is_active_directory(settings: &Settings) -> Result<bool, Fault> {
    Ok(settings.choice(&SERVER_TYPE, &SERVERS, SERVERS[0])? == SERVERS[1])
}

/// The member.
pub(super) struct Ldap;

impl Target for Ldap {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("ldap")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        is_active_directory(settings)?;
        settings.need(&PASSWORD)?;
        directory(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("implementation_type", "server-type"),
            ("ldap_bind_dn", "bind-dn"),
            ("ldap_bind_password", "bind-dn-password"),
            ("ldap_certificate", "ldap-ca-cert"),
            ("ldap_token_expiration", "token-expiration"),
            ("ldap_url", "ldap-url"),
            ("ldap_username", "username"),
        ];
        ("ldap_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            directory(settings)?.connect(way).await?.close().await;
            Ok(())
        })
    }
}

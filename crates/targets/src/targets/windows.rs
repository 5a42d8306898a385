//! Windows machines that are administered over WinRM.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting};

use crate::http::{HttpGiven, HttpServer};
use crate::kept::{Kept, Probe, need_all, place};
use crate::winrm::WindowsMachine;
use crate::{Kind, Named, Settings, Spelling};

const HOST: Field<Text> = Field::text("hostname", "Its name or address.");
const PORT: Field<Text> = Field::text("port", "The port of WinRM.").default("5986");
const USER: Field<Text> = Field::text("username", "Who administers it.").sentinel("dummy_value");
const PASSWORD: Field<Text> =
    Field::text("password", "Their password.").sentinel("dummy_value").secret();
const DOMAIN: Field<Text> =
    Field::text("domain", "The domain that they are of; nobody of one signs in yet.");
const CERTIFICATE: Field<Text> =
    Field::text("certificate", "Certificates of the authorities that vouch for it, PEM or base64.");
const TLS: Field<Text> = Field::text(
    "use-tls",
    "Whether connections are encrypted; nobody signs in where they are not.",
)
.default("true");
const CONNECTION: Field<Text> =
    Field::text("connection-type", "Who signs in; must be credentials.").default("credentials");

static KIND: Kind = Kind {
    name: "windows",
    what: "a Windows machine",
    create: &[
        Spelling::current("target-create-windows", "TargetCreateWindows", "TargetCreateOutput"),
        Spelling::older(
            "create-windows-target",
            "CreateWindowsTarget",
            "CreateWindowsTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-windows", "TargetUpdateWindows", "TargetUpdateOutput"),
        Spelling::older("update-windows-target", "UpdateWindowsTarget", "object"),
    ],
    fields: &Group {
        title: "Windows",
        fields: &[
            HOST.spec(),
            PORT.spec(),
            USER.spec(),
            PASSWORD.spec(),
            DOMAIN.spec(),
            CERTIFICATE.spec(),
            TLS.spec(),
            CONNECTION.spec(),
        ],
    },
    whereabouts: &["hostname", "port", "certificate", "use-tls"],
    types: &["windows"],
};

/// The machine of these settings of a target, its administrator and their password.
pub fn account(settings: &Settings) -> [Named<'_>; 3] {
    [&HOST, &USER, &PASSWORD].map(|field| Named::of(settings, field))
}

/// The machine of these settings of a target, to sign in to over WinRM.
///
/// # Errors
/// [`Fault::bad_request`] names the field, also of what this version does not do.
pub fn machine(settings: &Settings) -> Result<WindowsMachine, Fault> {
    let user = settings.need(&USER)?.to_owned();
    if user.contains(|c: char| c == ':' || c.is_control()) {
        return Err(bad_setting(USER.name(), "it is no name of a user"));
    }
    let password = settings.secret(&PASSWORD)?;
    Ok(WindowsMachine { user, password, ..machine_alone(settings)? })
}

/// The same, for somebody else to sign in to: a host need have nobody of its own.
///
/// # Errors
/// As [`machine`].
pub fn machine_alone(settings: &Settings) -> Result<WindowsMachine, Fault> {
    if settings.choice(&TLS, &["true", "false"], "true")? == "false" {
        let why = "it must be true: passwords go to machines over encrypted connections only";
        return Err(bad_setting(TLS.name(), why));
    }
    if settings.text(&DOMAIN).is_some_and(|domain| domain != ".") {
        let why = "only local users sign in over WinRM; rotate a directory's with an ldap target";
        return Err(bad_setting(DOMAIN.name(), why));
    }
    let place = place(settings, &HOST, &PORT, PORT_USUAL)?;
    let (host, port) = (place.host(), place.port());
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let url = format!("https://{host}:{port}/wsman");
    let server = HttpServer::new(HttpGiven {
        url: Named::of(settings, &HOST).with(Some(&url)),
        authority: Some(Named::of(settings, &CERTIFICATE)),
        identity: None,
    })?;
    let nobody = SecretString::new(String::new());
    Ok(WindowsMachine { server, user: String::new(), password: nobody })
}

/// The port of WinRM over TLS.
const PORT_USUAL: u16 = 5_986;

/// The member.
pub(super) static MEMBER: Kept = Kept {
    kind: &KIND,
    details: "windows_target_details",
    shown: &[
        ("certificate", "certificate"),
        ("connection_type", "connection-type"),
        ("domain_name", "domain"),
        ("hostname", "hostname"),
        ("password", "password"),
        ("port", "port"),
        ("username", "username"),
    ],
    flags: &[("use_tls", TLS)],
    check: |settings| {
        place(settings, &HOST, &PORT, PORT_USUAL)?;
        settings.choice(&TLS, &["true", "false"], "true")?;
        settings.choice(&CONNECTION, &["credentials"], "credentials")?;
        need_all(settings, &[&USER, &PASSWORD])
    },
    probe: Probe::Shell(machine),
};

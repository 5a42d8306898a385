//! Machines that are reached by SSH. Credentials there are rotated; of Windows machines, local
//! users are made there for a while.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::member::content;
use crate::server::Given;
use crate::ssh::{Key, Proof};
use crate::{BoxFuture, Kind, Named, Server, Settings, Spelling, Target, Way};

const HOST: Field<Text> = Field::text("host", "The machine's name or address.");
const PORT: Field<Text> = Field::text("port", "Its port.").default("22");
const USER: Field<Text> = Field::text("ssh-username", "Who signs in there.");
const PASSWORD: Field<Text> = Field::text("ssh-password", "With which password.").secret();
const KEY: Field<Text> =
    Field::text("private-key", "Or with which private key, in PEM or OpenSSH's form.").secret();
const KEY_PASSWORD: Field<Text> =
    Field::text("private-key-password", "The passphrase of that key.").secret();

static KIND: Kind = Kind {
    name: "ssh",
    what: "a machine that is reached by SSH",
    create: &[
        Spelling::current("target-create-ssh", "TargetCreateSsh", "TargetCreateOutput"),
        Spelling::older("create-ssh-target", "CreateSSHTarget", "CreateSSHTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-ssh", "TargetUpdateSsh", "TargetUpdateOutput"),
        Spelling::older("update-ssh-target", "UpdateSSHTarget", "UpdateSSHTargetOutput"),
        Spelling::older(
            "update-ssh-target-details",
            "UpdateSSHTargetDetails",
            "UpdateTargetOutput",
        ),
    ],
    fields: &Group {
        title: "Machine",
        fields: &[
            HOST.spec(),
            PORT.spec(),
            USER.spec(),
            PASSWORD.spec(),
            KEY.spec(),
            KEY_PASSWORD.spec(),
        ],
    },
    whereabouts: &["host", "port"],
    types: &["ssh"],
};

/// How every server begins (RFC 4253 section 4.2).
const GREETING: &[u8] = b"SSH-2.0-";
/// Most that a server may say before, in bytes.
const BEFORE_BYTES_MAX: usize = 8 * 1024;

/// The member.
pub(super) struct Ssh;

impl Target for Ssh {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("ssh")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        server(settings)?;
        let key = settings.text(&KEY);
        if key.is_some_and(|key| !key.trim_start().starts_with("-----BEGIN ")) {
            return Err(bad_setting(KEY.name(), "it must be a private key that begins -----BEGIN"));
        }
        Ok(())
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("host", "host"),
            ("password", "ssh-password"),
            ("port", "port"),
            ("private_key", "private-key"),
            ("private_key_password", "private-key-password"),
            ("username", "ssh-username"),
        ];
        ("ssh_target_details", content(&KIND, settings, &names))
    }

    /// Reads the machine's greeting. Nobody signs in: which host key it has is known where its
    /// credentials rotate.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let server = server(settings)?;
            timeout(way.timeout, greeted(&server, way)).await.map_err(|_| server.late())?
        })
    }
}

/// The machine that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn server(settings: &Settings) -> Result<Server, Fault> {
    Server::new(Given {
        host: Named::of(settings, &HOST),
        port: Named::of(settings, &PORT).or("22"),
        user: Named::of(settings, &USER),
        password: Named::of(settings, &PASSWORD),
        database: None,
        // SSH encrypts by itself.
        encrypted: Some(false),
        authority: Named::none("host"),
        name: None,
        identity: None,
    })
}

/// What whom these settings of a target name signs in with: the key, if there is one.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn proof(settings: &Settings) -> Result<Proof, Fault> {
    if settings.text(&KEY).is_none() {
        return Ok(Proof::Password(settings.secret(&PASSWORD)?));
    }
    let passphrase = settings.text(&KEY_PASSWORD).map(|text| SecretString::new(text.to_owned()));
    Ok(Proof::Key(Key::read(&settings.secret(&KEY)?, passphrase.as_ref())?))
}

async fn greeted(server: &Server, way: &Way) -> Result<(), Fault> {
    let mut stream = server.tcp(way).await?;
    let mut said = Vec::new();
    let mut piece = [0; 256];
    while said.len() < BEFORE_BYTES_MAX {
        let read = stream.read(&mut piece).await.unwrap_or_default();
        said.extend_from_slice(&piece[..read]);
        // It may say something else first, on lines of their own.
        if said.split(|byte| *byte == b'\n').any(|line| line.starts_with(GREETING)) {
            return Ok(());
        }
        if read == 0 {
            break;
        }
    }
    Err(Fault::forbidden(format!("{} does not speak SSH; check the port", server.place())))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{settings, way};

    async fn probed(says: &'static [u8]) -> Result<(), Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says).await.unwrap();
        });
        let target = settings(&Ssh, &[("host", "127.0.0.1"), ("port", &port)]);
        Ssh.probe(&target, &way()).await
    }

    #[tokio::test]
    async fn a_machine_is_known_by_its_greeting() {
        probed(b"SSH-2.0-Other_1\r\n").await.unwrap();
        probed(b"welcome\nSSH-2.0-Other_1\r\n").await.unwrap();
        for other in [b"HTTP/1.1 400 SSH-2.0-\r\n".as_slice(), b"", b"SSH-1.5-old\n"] {
            let fault = probed(other).await.unwrap_err();
            assert!(fault.public().contains("does not speak SSH"), "{fault}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        let plain = [("host", "m.example"), ("ssh-username", "root"), ("ssh-password", "x")];
        assert!(Ssh.check(&settings(&Ssh, &plain)).is_ok());
        for (field, value) in [
            ("host", "a b"),
            ("port", "0"),
            ("ssh-username", "a\nb"),
            ("private-key", "canary-key"),
        ] {
            let given: Vec<_> = plain.iter().copied().chain([(field, value)]).collect();
            let fault = Ssh.check(&settings(&Ssh, &given)).unwrap_err();
            assert!(fault.public().contains(field), "{field}: {fault}");
            assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        }
        assert!(Ssh.check(&settings(&Ssh, &plain[1..])).is_err());
    }
}

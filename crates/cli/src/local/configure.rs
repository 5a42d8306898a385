//! `configure`: writes a profile.

use std::path::Path;

use keysherd_base::SecretString;
use keysherd_wire::{Field, FieldSpec, Show, Spec, wipe};
use serde_json::{Value, json};

use super::LocalVerb;
use super::profiles::answer;
use crate::body::Fields;
use crate::context::Context;
use crate::credentials::{chosen_profile, login_fields};
use crate::failure::Failure;
use crate::profile::{Profile, key};
use crate::secret_input;
use crate::session::Session;
use crate::token_cache;

const ACCESS_KEY: FieldSpec = Field::text("access-key", "The access key.").secret().spec();
const ADMIN_PASSWORD: FieldSpec =
    Field::text("admin-password", "The password of that address.").secret().spec();

const FIELDS: &[FieldSpec] = &[
    Field::text("access-id", "The access id of an authentication method.").spec(),
    ACCESS_KEY,
    Field::text("access-type", "How to log in.").default("access_key").spec(),
    Field::text("admin-email", "Mail address, for access type password.").spec(),
    ADMIN_PASSWORD,
    Field::text("account-id", "The account, when an address has several.").spec(),
    Field::text("k8s-auth-config-name", "The gateway's Kubernetes configuration.").spec(),
    Field::text("default-location-prefix", "Folder for new items.").spec(),
    Field::text("cert-issuer-name", "Certificate issuer for connections.").spec(),
    Field::text("cert-username", "User name in certificates.").spec(),
    Field::text("public-key-file-path", "Public key to have certified.").spec(),
    Field::text(
        "from-bootstrap",
        "File bootstrap.json that a new server wrote into its data directory.",
    )
    .spec(),
    Field::flag("verify", "Log in before writing the profile.").default("false").spec(),
    Field::flag("set-default", "Use this profile when none is named.").default("false").spec(),
];

/// Fields that are entries of the profile.
const ENTRIES: &[&str] = &[
    "access-id",
    "access-key",
    "access-type",
    "admin-email",
    "admin-password",
    "account-id",
    "k8s-auth-config-name",
    "default-location-prefix",
    "cert-issuer-name",
    "cert-username",
    "public-key-file-path",
];

static SPEC: Spec = Spec::open(
    "configure",
    "Writes a profile: which server, and who logs in.",
    FIELDS,
    Show::Sentence(
        "Profile {profile} successfully configured\n- Server: {gateway_url}\n- Access ID: \
         {access_id}\n- Password of {owner_email}: in {owner_password_file}",
    ),
);

/// `configure`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: None, run, server_flags: false };

fn run(context: &mut Context<'_, '_>, fields: Fields) -> Result<(), Failure> {
    let name = chosen_profile(context)?;
    let mut profile = match context.places.load(&name) {
        Ok(Some(found)) => found.profile,
        Ok(None) => Profile::default(),
        // A file that cannot be read is replaced: that is what this verb is for.
        Err(failure) => {
            context.terminal.note(&failure.render(None));
            Profile::default()
        }
    };
    let mut extra = json!({ "profile": name });
    if let Some(path) = fields.text("from-bootstrap") {
        import(path.as_ref(), &mut profile, &mut extra)?;
    }
    apply(context, &fields, &mut profile)?;
    ask(context, &mut profile)?;
    check(&profile)?;
    if fields.flag("verify") {
        let session = Session::connect(context, Some(&profile), name.clone())?;
        let login = login_fields(context, &profile);
        session.log_in_with(context, login)?;
    }
    token_cache::forget(&context.places, &name);
    context.places.save(&name, &profile)?;
    if fields.flag("set-default") {
        context.places.set_default(Some(&name))?;
    }
    for entry in [key::GATEWAY_URL, key::ACCESS_ID] {
        extra[entry] = json!(profile.text(entry));
    }
    answer(context, &SPEC, &extra)
}

/// Takes the flags over into the profile.
fn apply(context: &Context<'_, '_>, fields: &Fields, profile: &mut Profile) -> Result<(), Failure> {
    // Whoever the profile is for now does not have the secret of whom it was for before.
    for (who, entry, secret) in [
        ("access-id", key::ACCESS_ID, key::ACCESS_KEY),
        ("admin-email", key::ADMIN_EMAIL, key::ADMIN_PASSWORD),
    ] {
        if fields.text(who).is_some_and(|new| profile.text(entry) != Some(new)) {
            profile.remove(secret);
        }
    }
    for entry in ENTRIES {
        if let Some(value) = fields.text(entry) {
            profile.set(&entry.replace('-', "_"), value.into());
        }
    }
    if let Some(url) = &context.globals.gateway_url {
        // A wrong address is better refused here than in every later run.
        let url = keysherd_client::BaseUrl::parse(url)?;
        profile.set(key::GATEWAY_URL, url.to_string().into());
    }
    if let Some(path) = &context.globals.ca_file {
        profile.set(key::CA_FILE, absolute(path)?.into());
    }
    Ok(())
}

/// Asks a person for what a login with a key or a password needs.
fn ask(context: &mut Context<'_, '_>, profile: &mut Profile) -> Result<(), Failure> {
    if !context.terminal.stdin_is_terminal {
        return Ok(());
    }
    let (id, secret, field, question) = match profile.text(key::ACCESS_TYPE) {
        None | Some("access_key" | "api_key") => {
            (key::ACCESS_ID, key::ACCESS_KEY, ACCESS_KEY, "Access ID: ")
        }
        Some("password") => {
            (key::ADMIN_EMAIL, key::ADMIN_PASSWORD, ADMIN_PASSWORD, "Mail address: ")
        }
        Some(_) => return Ok(()),
    };
    if profile.text(id).is_none() {
        let value = context.terminal.ask(question)?;
        profile.set(id, value.into());
    }
    if profile.text(secret).is_none() {
        let value = secret_input::prompt(&field, context.terminal)?;
        profile.set(secret, value.expose().as_str().into());
    }
    Ok(())
}

/// Refuses a profile nobody could log in with.
fn check(profile: &Profile) -> Result<(), Failure> {
    let needed: &[(&str, &str)] = match profile.text(key::ACCESS_TYPE) {
        None | Some("access_key" | "api_key") => {
            &[(key::ACCESS_ID, "--access-id"), (key::ACCESS_KEY, "--access-key-file")]
        }
        Some("password") => {
            &[(key::ADMIN_EMAIL, "--admin-email"), (key::ADMIN_PASSWORD, "--admin-password-file")]
        }
        Some(_) => &[(key::ACCESS_ID, "--access-id")],
    };
    let missing: Vec<_> = needed
        .iter()
        .filter(|(entry, _)| profile.text(entry).is_none())
        .map(|(_, flag)| *flag)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is missing", missing.join(" and ")))
        .hint("or give --from-bootstrap <data directory>/bootstrap.json"))
}

/// Reads what a new server wrote for its first user.
fn import(path: &Path, profile: &mut Profile, extra: &mut Value) -> Result<(), Failure> {
    let text: SecretString = secret_input::read_file(path)?;
    let bad = || Failure::local(format!("{} is not a bootstrap file", path.display()));
    let file: Value = serde_json::from_str(text.expose()).map_err(|_| bad())?;
    let entry = |name: &str| file.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(url), Some(access_id), Some(access_key)) =
        (entry("url"), entry("access_id"), entry("access_key"))
    else {
        wipe(file);
        return Err(bad());
    };
    profile.set(key::GATEWAY_URL, url.into());
    profile.set(key::ACCESS_ID, access_id.into());
    profile.set(key::ACCESS_KEY, access_key.into());
    profile.set(key::ACCESS_TYPE, "access_key".into());
    profile.remove(key::ADMIN_PASSWORD);
    let beside = |file: &str| absolute(&path.parent().unwrap_or(Path::new("")).join(file));
    match entry("ca_file") {
        Some(ca_file) => profile.set(key::CA_FILE, beside(ca_file)?.into()),
        None => profile.remove(key::CA_FILE),
    }
    for (from, to) in [("account_id", key::ACCOUNT_ID), ("owner_email", key::ADMIN_EMAIL)] {
        match entry(from) {
            Some(value) => profile.set(to, value.into()),
            None => profile.remove(to),
        }
    }
    if let (Some(email), Some(password_file)) = (entry("owner_email"), entry("owner_password_file"))
    {
        extra["owner_email"] = json!(email);
        extra["owner_password_file"] = json!(beside(password_file)?);
    }
    wipe(file);
    Ok(())
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let failed = || Failure::local(format!("{} is not a usable path", path.display()));
    let path = std::path::absolute(path).map_err(|_| failed())?;
    path.into_os_string().into_string().map_err(|_| failed())
}

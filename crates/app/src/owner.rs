//! `keysherd owner`: the key that says whom the machines believe, and what it signs.
//!
//! It runs where the owner's key is, which should be a machine of its own without a network. What
//! it makes (the bundle, orders, the public key) is carried by people and needs no secrecy.

mod changes;
mod draft;
mod enlist;
mod flags;
mod home;
mod key;
mod order;
mod recovery;
mod relocate;
mod rotate;
mod show;
mod sign;

use clap::ArgMatches;
use keysherd_base::Uid;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::owner_key;

use self::draft::Draft;
pub(crate) use self::flags::command;
use self::flags::{OwnerTask, Task};
pub(crate) use self::home::PUBLIC_FILE;
use self::home::{DRAFT_FILE, OwnerHome};
pub(crate) use self::key::KEY_FILE;
use self::key::TOKEN_FILE;
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Does what the command line says.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let env = |name: &str| std::env::var(name).ok();
    let OwnerTask { dir, server, secrets, consent, task } = flags::parse(matches, &env)?;
    if let Task::Init { token } = &task {
        return init(&dir, &secrets, token.as_ref());
    }
    if let Task::Move { to } = &task {
        return relocate::relocate(&dir, to, &secrets, &consent);
    }
    let home = OwnerHome::open(&dir)?;
    if server && task.writes() && !consent.dry_run {
        relocate::demand_stopped(&dir)?;
    }
    match &task {
        Task::Init { .. } | Task::Move { .. } => Ok(()),
        Task::Show { file, json } => show::show(&home, file.as_deref(), *json),
        Task::Sign { file } => sign::sign_draft(&home, &secrets, &consent, file.as_deref()),
        Task::Adopt { file } => sign::adopt(&home, file, &consent),
        Task::Rotate { token } => rotate::rotate(&home, &secrets, &consent, token.as_ref()),
        Task::RecoveryKey(custody) => recovery::make(&home, &secrets, &consent, custody),
        Task::ChangePassphrase => change_passphrase(&home, &secrets),
        Task::Order { verb, action, valid_days, out } => {
            let out = out.clone().unwrap_or_else(|| order::default_out(&home.dir, verb));
            let order = order::Order { action: action.clone(), valid_days: *valid_days, out };
            order::sign(&home, &secrets, &consent, &order)
        }
        Task::Add(add) => {
            let requests = enlist::read_requests(add)?;
            sign::change(&home, &secrets, &consent, |draft| enlist::add(draft, add, &requests))
        }
        Task::Remove { machines } => {
            sign::change(&home, &secrets, &consent, |draft| enlist::remove(draft, machines))
        }
        Task::SetCaps { of, caps } => {
            sign::change(&home, &secrets, &consent, |draft| enlist::set_caps(draft, of, *caps))
        }
        Task::AllowFragments { cluster, ids } => sign::change(&home, &secrets, &consent, |draft| {
            enlist::allow_fragments(draft, cluster.as_deref(), ids)
        }),
    }
}

fn init(
    dir: &std::path::Path,
    secrets: &key::OwnerSecrets,
    token: Option<&keysherd_crypto::pkcs11::TokenUri>,
) -> Result<(), Exit> {
    let home = OwnerHome::create(dir)?;
    let id =
        || Uid::random(&*SystemRng::handle()).map_err(|error| Exit::Damaged(error.to_string()));
    let draft = Draft::empty(id()?, id()?);
    let key = match token {
        Some(uri) => {
            let key = key::on_token(uri, secrets, true)?;
            home.dir.write(TOKEN_FILE, format!("{uri}\n").as_bytes())?;
            key
        }
        None => key::make_file(&home.dir, KEY_FILE, secrets)?,
    };
    home.write_draft(&draft)?;
    // Last: with it the directory is an owner's.
    home.dir.write(PUBLIC_FILE, owner_key::to_file(&key.public()).as_bytes())?;
    write_stdout(&format!(
        "owner key     {}\n  public key  {}\n  draft       {}\n\
         Keep a copy of this directory and its passphrase or token: without them no machine can be \
         added, replaced or removed.\nGive {PUBLIC_FILE} to every machine and compare the \
         fingerprint there.\nnext: on each machine keysherd control enroll, keysherd fragments \
         enroll or keysherd gateway enroll; then here keysherd owner add FILE...\n",
        key.public().fingerprint(),
        home.dir.join(PUBLIC_FILE).display(),
        home.dir.join(DRAFT_FILE).display(),
    ));
    Ok(())
}

fn change_passphrase(home: &OwnerHome, secrets: &key::OwnerSecrets) -> Result<(), Exit> {
    match home.key(secrets)? {
        key::OwnerKey::Token { .. } => Err(Exit::Configuration(
            "the key is on a token; its PIN is changed with the token's own tool".to_owned(),
        )),
        key::OwnerKey::Memory(signing) => {
            // A server on one machine opens its key by itself.
            if home.dir.read(KEY_FILE)?.is_some_and(|bytes| bytes.len() == 32) {
                return Err(Exit::Configuration(
                    "this key has no passphrase; take it off the server: keysherd owner move"
                        .to_owned(),
                ));
            }
            key::write_file(&home.dir, KEY_FILE, &signing, secrets)?;
            write_stdout("the passphrase is changed; older copies of the file keep the old one\n");
            Ok(())
        }
    }
}

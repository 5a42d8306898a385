//! Signing in: how a credential becomes a proof, so that the control plane never sees it.

use std::sync::LazyLock;

use keysherd_authn::Method;
use keysherd_authn::fields::{ACCESS_ID, GATEWAY_URL};
use keysherd_base::{AccessId, AccountId, Fault, FaultKind, Secret, SecretString};
use keysherd_crypto::access_key::AccessKey;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::admission::LoginAbandon;
use keysherd_plane::auth::{
    Login, LoginProof, LoginReply, LoginSubject, PURPOSE_LOGIN, PasswordParams,
    PasswordParamsReply, Present, PresentRefused,
};
use keysherd_plane::uid::UidLogin;
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, Text};

use crate::browser::{self, Begun};
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::fields::UID_TOKEN;
use crate::passwords::{self, login_proof, wrong_credential};

pub(super) const ACCESS_KEY: Field<Text> =
    Field::text("access-key", "The access key of an API-key method.").secret();
pub(super) const ACCESS_TYPE: Field<Text> =
    Field::text("access-type", "The kind of auth method: access_key, password, jwt and so on.")
        .default("access_key");
pub(super) const ADMIN_EMAIL: Field<Text> =
    Field::text("admin-email", "E-mail address, for password.");
pub(super) const ADMIN_PASSWORD: Field<Text> =
    Field::text("admin-password", "The password, for password.").secret();
pub(super) const ACCOUNT_ID: Field<Text> =
    Field::text("account-id", "The account, when the address belongs to several.");
const OTP: Field<Text> = Field::text(
    "otp",
    "The code of the authenticator app, or a recovery code, for password where one is demanded.",
)
.secret();
const DEBUG: Field<Flag> = Field::flag("debug", "Nothing more is shown.").inert();

const OWN: &[FieldSpec] = &[
    ACCESS_ID.spec(),
    ACCESS_KEY.spec(),
    ACCESS_TYPE.spec(),
    ADMIN_EMAIL.spec(),
    ADMIN_PASSWORD.spec(),
    ACCOUNT_ID.spec(),
    OTP.spec(),
    GATEWAY_URL.spec(),
    DEBUG.spec(),
];

/// What signing in takes: its own fields, and those of the family's members.
pub(super) static CREDENTIAL: LazyLock<Group> = LazyLock::new(|| {
    let mut fields = OWN.to_vec();
    for field in keysherd_authn::all().iter().flat_map(|member| member.credential()) {
        // Several members may present the same field.
        if fields.iter().all(|known| known.name != field.name) {
            fields.push(*field);
        }
    }
    Group { title: "Credential", fields: fields.leak() }
});

/// How a login went on.
pub(super) enum Progress {
    /// It is over.
    Done(LoginReply),
    /// A browser has to finish it.
    Browser(Begun),
}

/// Signs in with the credential in `args`, or lets a browser do it.
///
/// # Errors
/// As [`login`].
pub(super) async fn begin(ctx: &Ctx, args: &Args) -> Result<Progress, Fault> {
    let kind = args.get(&ACCESS_TYPE)?.unwrap_or_default();
    if let Some(member) = keysherd_authn::by_access_type(&kind)
        && let Some(browser) = member.browser()
        && browser.wanted(args)?
    {
        let access_id = match args.get(&ACCESS_ID)? {
            Some(_) => access_id(args)?,
            None => default_method(ctx, args, &kind).await?,
        };
        return browser::begin(ctx, member, browser, access_id).await.map(Progress::Browser);
    }
    login(ctx, args).await.map(Progress::Done)
}

/// The auth method that the gateway's cluster has for logins of this kind that name none.
async fn default_method(ctx: &Ctx, args: &Args, kind: &str) -> Result<AccessId, Fault> {
    let defaults = Defaults::of_cluster(&*ctx.services().configs).await?;
    match defaults.login(&kind.to_ascii_lowercase()) {
        Some(id) => Ok(id.clone()),
        None => access_id(args),
    }
}

fn access_id(args: &Args) -> Result<AccessId, Fault> {
    AccessId::parse(&args.need(&ACCESS_ID)?).map_err(|_| wrong_credential())
}

/// Signs in with the credential in `args`.
///
/// # Errors
/// A bad request when a part is missing, unauthorized when it does not fit.
pub(super) async fn login(ctx: &Ctx, args: &Args) -> Result<LoginReply, Fault> {
    let kind = args.get(&ACCESS_TYPE)?.unwrap_or_else(|| "access_key".to_owned());
    match kind.to_ascii_lowercase().as_str() {
        "access_key" | "api_key" => login_access_key(ctx, args).await,
        "password" => login_password(ctx, args).await,
        "universal_identity" => login_uid(ctx, args).await,
        other => match keysherd_authn::by_access_type(other) {
            Some(member) => login_member(ctx, args, member).await,
            // Some clients try one type after the other until one works: this must fail like a
            // wrong credential, not like a wrong request.
            None => Err(Fault::unauthorized(format!(
                "access type '{}' is not served; see auth --help for those that are",
                kind.escape_default()
            ))),
        },
    }
}

async fn login_member(
    ctx: &Ctx,
    args: &Args,
    member: &'static dyn Method,
) -> Result<LoginReply, Fault> {
    let access_id = access_id(args)?;
    let kind = member.kind().name.to_owned();
    let proven = member.prove(args, ctx).await;
    let ticket = ctx.take_ticket();
    match proven {
        Ok(evidence) => ctx.ask(Present { access_id, kind, evidence, ticket }).await,
        Err(fault) if fault.kind() == FaultKind::Unauthorized => {
            let why = fault.private().unwrap_or_else(|| fault.public()).to_owned();
            match ctx.ask(PresentRefused { access_id, kind, why, ticket }).await {
                Err(refused) => Err(refused),
                Ok(_) => Err(fault),
            }
        }
        Err(fault) => {
            if let Some(ticket) = ticket {
                // What stopped the login matters more; the ticket ends by itself as well.
                let _ended = ctx.ask(LoginAbandon { ticket }).await;
            }
            Err(fault)
        }
    }
}

/// The token itself travels with the request; an access id that is sent along has to be its own.
async fn login_uid(ctx: &Ctx, args: &Args) -> Result<LoginReply, Fault> {
    args.need(&UID_TOKEN)?;
    let reply = ctx.ask(UidLogin).await?;
    match args.get(&ACCESS_ID)? {
        Some(id) if id != reply.access_id.as_str() => Err(wrong_credential()),
        _ => Ok(reply),
    }
}

async fn login_access_key(ctx: &Ctx, args: &Args) -> Result<LoginReply, Fault> {
    let id = args.need(&ACCESS_ID)?;
    let key = Secret::new(args.need(&ACCESS_KEY)?);
    let (Ok(id), Some(key)) = (AccessId::parse(&id), AccessKey::parse(key.expose())) else {
        return Err(wrong_credential());
    };
    let subject = LoginSubject::AccessId(id);
    let proof = proof(ctx, PURPOSE_LOGIN, &subject, &key.signing_key())?;
    ctx.ask(Login { subject, proof, otp: None }).await
}

async fn login_password(ctx: &Ctx, args: &Args) -> Result<LoginReply, Fault> {
    let (subject, proof) = prove_person(ctx, args, PURPOSE_LOGIN).await?;
    ctx.ask(Login { subject, proof, otp: args.get(&OTP)? }).await
}

/// Proves the password in `args`, for `purpose`.
///
/// # Errors
/// A bad request when a part is missing; too many when the password would not be tried.
pub(super) async fn prove_person(
    ctx: &Ctx,
    args: &Args,
    purpose: &str,
) -> Result<(LoginSubject, LoginProof), Fault> {
    let email = args.need(&ADMIN_EMAIL)?;
    let password = SecretString::new(args.need(&ADMIN_PASSWORD)?);
    let account = args
        .get(&ACCOUNT_ID)?
        .map(|id| AccountId::parse(&id))
        .transpose()
        .map_err(|bad| Fault::bad_request(format!("invalid value of 'account-id': {bad}")))?;
    let params = ctx.ask(PasswordParams { email: email.clone(), account }).await?;
    let key = stretched(ctx, password, params).await?;
    let subject = LoginSubject::Email { email, account };
    let proof = proof(ctx, purpose, &subject, &key)?;
    Ok((subject, proof))
}

/// The signing key a password stands for; a few at a time, the rest waits.
///
/// # Errors
/// Unauthorized when the password cannot be one.
pub(in crate::commands) async fn stretched(
    ctx: &Ctx,
    password: SecretString,
    params: PasswordParamsReply,
) -> Result<SigningKey, Fault> {
    let _turn = ctx.services().stretching.take().await?;
    passwords::stretch(password, params).await
}

/// Signs that this very login is meant, now.
///
/// # Errors
/// When the random source fails.
pub(in crate::commands) fn proof(
    ctx: &Ctx,
    purpose: &str,
    subject: &LoginSubject,
    key: &SigningKey,
) -> Result<LoginProof, Fault> {
    let services = ctx.services();
    login_proof((services.clock.now(), &*services.rng), purpose, subject, key)
}

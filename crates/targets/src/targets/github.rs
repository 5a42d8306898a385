//! GitHub, as one of its Apps.

use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_crypto::jwt::JwtSigner;
use keysherd_wire::{Field, Group, Int, Text, bad_setting, wipe};
use serde_json::{Map, Value, json};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::pem::pem;
use crate::{BoxFuture, Kind, Lender, Lent, Named, Settings, Spelling, Target, Way};

const APP: Field<Int> = Field::int("github-app-id", "The App's number.");
const KEY: Field<Text> =
    Field::text("github-app-private-key", "Its private key (RSA), PEM or that in base64.").secret();
const URL: Field<Text> = Field::text("github-base-url", "Where its API is.").default(GITHUB);

static KIND: Kind = Kind {
    name: "github",
    what: "a GitHub App",
    create: &[
        Spelling::current("target-create-github", "TargetCreateGithub", "TargetCreateOutput"),
        Spelling::older("create-github-target", "CreateGithubTarget", "CreateGithubTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-github", "TargetUpdateGithub", "TargetUpdateOutput"),
        Spelling::older("update-github-target", "UpdateGithubTarget", "UpdateGithubTargetOutput"),
    ],
    fields: &Group { title: "GitHub", fields: &[APP.spec(), KEY.spec(), URL.spec()] },
    whereabouts: &["github-base-url", "github-app-id"],
    types: &["github"],
};

/// The service that most use.
const GITHUB: &str = "https://api.github.com/";
/// How long a text that the App signs is good for, in seconds, and how much earlier it says it was
/// made, for clocks that are behind. GitHub takes ten minutes at most.
const LIFE_SECONDS: i64 = 540;
const EARLIER_SECONDS: i64 = 60;

/// A GitHub App.
pub struct Github {
    /// Where its API is.
    pub server: HttpServer,
    /// The App's private key, as PEM.
    pub key: SecretString,
    app: i64,
    signer: JwtSigner,
}

impl Github {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        url: &Field<Text>,
        app: &Field<Int>,
        key: &Field<Text>,
    ) -> Result<Self, Fault> {
        let missing = || Fault::bad_request(format!("missing required field '{}'", app.name()));
        let app = settings.int(app).filter(|app| *app > 0).ok_or_else(missing)?;
        let field = key.name();
        let key = SecretString::new(pem(field, settings.need(key)?)?);
        let unusable = |_| bad_setting(field, "it is no RSA private key");
        let signer = JwtSigner::from_rsa_pem(&key).map_err(unusable)?;
        let url = Named::of(settings, url).or(GITHUB);
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        Ok(Self { server, key, app, signer })
    }

    /// What shows that the App asks, at `now`.
    fn signed(&self, now: Timestamp) -> Result<Lent, Fault> {
        let ends = now.plus_seconds(LIFE_SECONDS);
        let claims = json!({
            "iat": now.seconds() - EARLIER_SECONDS,
            "exp": ends.seconds(),
            "iss": self.app.to_string(),
        });
        let claims = claims.as_object().cloned().unwrap_or_default();
        let token = self.signer.sign(&claims).map_err(|_| Fault::internal("the key signs nothing"));
        Ok(Lent { token: SecretString::new(token?), ends })
    }
}

impl Lender for Github {
    fn lend<'a>(&'a self, way: &'a Way) -> BoxFuture<'a, Result<Lent, Fault>> {
        Box::pin(async move { self.signed(way.clock.now()) })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn github(settings: &Settings) -> Result<Github, Fault> {
    Github::by(settings, &URL, &APP, &KEY)
}

/// The member.
pub(super) struct GithubTarget;

impl Target for GithubTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("github")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        github(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("github_app_id", "github-app-id"),
            ("github_app_private_key", "github-app-private-key"),
            ("github_base_url", "github-base-url"),
        ];
        ("github_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let app = github(settings)?;
            let http = app.server.open(way)?;
            let Lent { token, .. } = app.lend(way).await?;
            let reply = http.call("GET", &["app"])?.bearer(&token).send().await?;
            reply.done("signing in", &[token.expose()])?.json().map(wipe)
        })
    }
}

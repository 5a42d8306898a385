//! What a member is called, wherever it has a name.

/// One spelling of a command of a member, with what is its own.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// The command's name.
    pub name: &'static str,
    /// HTTP status of success.
    pub success: u16,
    /// Name of the reply's model in the V2 description; `object` for none.
    pub reply: &'static str,
    /// What the reply shows, of `name`, `access_id` and `prv_key`.
    pub shows: &'static [&'static str],
}

impl Spelling {
    /// The current spelling of a create command.
    pub const fn create(name: &'static str) -> Self {
        let shows = &["name", "access_id", "prv_key"];
        Self { name, success: 201, reply: "AuthMethodCreateOutput", shows }
    }

    /// The current spelling of an update command.
    pub const fn update(name: &'static str) -> Self {
        Self { name, success: 201, reply: "AuthMethodUpdateOutput", shows: &["name", "prv_key"] }
    }

    /// An older spelling, with its own reply.
    pub const fn older(
        name: &'static str,
        reply: &'static str,
        shows: &'static [&'static str],
    ) -> Self {
        Self { name, success: 200, reply, shows }
    }

    /// The same with another status of success.
    #[must_use]
    pub const fn success(mut self, success: u16) -> Self {
        self.success = success;
        self
    }
}

/// The names of a member.
#[derive(Debug)]
pub struct Kind {
    /// The `rules_type` of the V2 API, which is also what is stored.
    pub name: &'static str,
    /// What `access-type` of `auth` may be, the usual spelling first.
    pub access_types: &'static [&'static str],
    /// Whose logins it is for, to end a sentence: "identities of AWS IAM".
    pub bearers: &'static str,
    /// Its create commands, the current one first.
    pub create: &'static [Spelling],
    /// Its update commands, the current one first; none where V2 has none.
    pub update: &'static [Spelling],
    /// Whether one method lets several bearers in, so that roles should ask for sub-claims.
    pub shared: bool,
    /// Whether its bearers are people who sign in at a provider of identities.
    pub federated: bool,
    /// Whether its claims are texts with several values, split at the method's delimiters.
    pub delimited: bool,
}

//! A command: its specification, and the function that runs it.

use std::future::Future;
use std::pin::Pin;

use keysherd_base::Fault;

use crate::answer::Answer;
use crate::args::Args;
use crate::field::{FieldSpec, Group};

/// What a caller must be allowed to do. Enforced by the control plane; declared here so that help
/// texts can say it and the authorization walk can test it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a token.
    Open,
    /// Any valid token.
    Token,
    /// A capability on the object's path, by rule type and capability name (`item-rule`, `read`).
    Right(&'static str, &'static str),
    /// Only what the caller may list is returned; nothing is refused to a valid token.
    Listing(&'static str),
    /// The admin role.
    Admin,
}

impl Access {
    /// What a caller must be allowed to do, in a sentence for help texts and reference pages.
    pub fn sentence(&self) -> String {
        match self {
            Self::Open => "No token needed.".to_owned(),
            Self::Token => "Any valid token.".to_owned(),
            Self::Right(rule, capability) => {
                format!("Needs `{capability}` on the object's path ({rule}).")
            }
            Self::Listing(rule) => {
                format!("Any valid token; shows what the caller may list ({rule}).")
            }
            Self::Admin => "Needs the admin role.".to_owned(),
        }
    }
}

/// The body a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A JSON object; absent counts as empty.
    Object,
    /// A JSON array of objects; the token travels in the `Authorization` header.
    Array,
}

/// An older spelling of a command.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The older name.
    pub name: &'static str,
    /// Its own success status.
    pub success: u16,
    /// Its own reply model.
    pub reply: &'static str,
}

/// How the command line shows a successful answer to people.
#[derive(Clone, Copy, Debug)]
pub enum Show {
    /// A sentence; `{field}` stands for an argument or a field of the answer. Further lines of the
    /// text whose field is absent are left out.
    Sentence(&'static str),
    /// Indented JSON.
    Json,
    /// The bare value, when the answer has one field (or one wanted name); JSON otherwise.
    Value,
    /// A table: the list's field in the answer, then (heading, field) pairs.
    Table(&'static str, &'static [(&'static str, &'static str)]),
    /// A plain list, one element a line.
    Lines,
}

/// A command as data.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name with dashes; also the path of its route.
    pub name: &'static str,
    /// Older spellings.
    pub aliases: &'static [Alias],
    /// HTTP status of success.
    pub success: u16,
    /// One sentence of help.
    pub summary: &'static str,
    /// Fields shared with other commands.
    pub groups: &'static [&'static Group],
    /// Its own fields.
    pub fields: &'static [FieldSpec],
    /// Name of the reply's model in the V2 description; `object` for none.
    pub reply: &'static str,
    /// What a caller must be allowed to do.
    pub access: Access,
    /// The body it takes.
    pub body: Body,
    /// How the command line shows the answer.
    pub show: Show,
}

impl Spec {
    /// A command of ours that anybody may call: it answers 200 with an object of its own.
    pub const fn open(
        name: &'static str,
        summary: &'static str,
        fields: &'static [FieldSpec],
        show: Show,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            success: 200,
            summary,
            groups: &[],
            fields,
            reply: "object",
            access: Access::Open,
            body: Body::Object,
            show,
        }
    }

    /// All fields: those of the groups, then its own.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static FieldSpec> {
        self.groups.iter().flat_map(|group| group.fields).chain(self.fields)
    }

    /// Finds a field by the name in a request, reading `_` as `-`.
    pub fn field(&self, written: &str) -> Option<&'static FieldSpec> {
        self.all_fields().find(|field| same_name(field.name, written))
    }

    /// All names the command answers to, the current one first, with their success status.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, u16)> {
        std::iter::once((self.name, self.success))
            .chain(self.aliases.iter().map(|alias| (alias.name, alias.success)))
    }
}

fn same_name(canonical: &str, written: &str) -> bool {
    canonical.len() == written.len()
        && canonical.bytes().zip(written.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}

/// The future of a running command.
pub type Run = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// A command that runs in a context `C`, which the edge makes for each request.
pub struct Command<C: 'static> {
    /// What it is.
    pub spec: Spec,
    /// What it does.
    pub run: &'static (dyn Fn(C, Args) -> Run + Send + Sync),
}

impl<C> std::fmt::Debug for Command<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({})", self.spec.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_underscores_are_one_character_in_requests() {
        assert!(same_name("keep-prev-version", "keep_prev-version"));
        assert!(!same_name("keep-prev-version", "keepprevversion"));
        assert!(!same_name("name", "nam"));
    }
}

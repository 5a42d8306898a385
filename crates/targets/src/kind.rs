//! What a member is called, wherever it has a name.

use std::collections::BTreeSet;

use keysherd_wire::Group;

/// One spelling of a command of a member, with what is its own.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// The command's name.
    pub name: &'static str,
    /// HTTP status of success.
    pub success: u16,
    /// Name of the request's model in the V2 description.
    pub request: &'static str,
    /// Name of the reply's model in the V2 description.
    pub reply: &'static str,
    /// Whether it is an older spelling, whose reply may have another shape.
    pub older: bool,
}

/// What is wrong with the names of a family's members; empty when all is well. `members` are their
/// names, each with the others that only it may have.
pub fn naming_complaints<'a>(
    members: impl IntoIterator<Item = (&'a str, BTreeSet<&'a str>, [&'a [Spelling]; 2])>,
) -> Vec<String> {
    let (mut found, mut taken) = (Vec::new(), BTreeSet::new());
    for (member, mut own, spellings) in members {
        own.insert(member);
        let spelled = spellings.into_iter().flatten().map(|spelling| spelling.name);
        for name in own.into_iter().chain(spelled) {
            if !taken.insert(name) {
                found.push(format!("{member}: the name {name} is taken"));
            }
        }
    }
    found
}

impl Spelling {
    /// The current spelling, which answers 201.
    pub const fn current(name: &'static str, request: &'static str, reply: &'static str) -> Self {
        Self { name, success: 201, request, reply, older: false }
    }

    /// An older spelling, which answers 200.
    pub const fn older(name: &'static str, request: &'static str, reply: &'static str) -> Self {
        Self { name, success: 200, request, reply, older: true }
    }

    /// The same with another status of success.
    #[must_use]
    pub const fn success(mut self, success: u16) -> Self {
        self.success = success;
        self
    }
}

/// What a member is called, and which settings it has.
#[derive(Debug)]
pub struct Kind {
    /// The name, such as `db`.
    pub name: &'static str,
    /// What it is, to end a sentence: "a database server".
    pub what: &'static str,
    /// Its create commands, the current one first.
    pub create: &'static [Spelling],
    /// Its update commands, the current one first.
    pub update: &'static [Spelling],
    /// Its settings.
    pub fields: &'static Group,
    /// The settings that say where it is and who is believed to be there: when one of them changes,
    /// secrets that are not given again are forgotten.
    pub whereabouts: &'static [&'static str],
    /// What [`crate::Target::type_name`] may say: V2's `target_type`.
    pub types: &'static [&'static str],
}

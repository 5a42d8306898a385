//! What a member is called, wherever it has a name.

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

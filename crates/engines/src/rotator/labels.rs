//! Credentials that a service makes, and shows a part of afterwards: which one is which.
//!
//! Each is labeled with the id of the one before it. So one whose making nobody heard of is found,
//! and so is the one before where nobody said which id it has.

use keysherd_base::Fault;

use super::Credential;

/// How labels begin; the id of the one before follows.
const LABEL: &str = "keysherd after ";

/// The label of what comes after the one with this id.
pub(crate) fn label(before: &str) -> String {
    format!("{LABEL}{before}")
}

/// What a service shows of one.
pub(crate) struct Listed {
    /// Its id.
    pub(crate) id: String,
    /// Its label, whoever gave it that.
    pub(crate) label: String,
    /// How its text begins; empty: the service does not show it.
    pub(crate) begins: String,
    /// How its text ends, if that is shown, too.
    pub(crate) ends: String,
}

impl Listed {
    fn is(&self, text: &str) -> bool {
        !self.begins.is_empty() && text.starts_with(&self.begins) && text.ends_with(&self.ends)
    }
}

/// Those that a service has.
pub(crate) struct There {
    /// All of them.
    pub(crate) all: Vec<Listed>,
    /// The field that says which id one has.
    pub(crate) field: &'static str,
}

impl There {
    /// The id of one; `None`: it is not there.
    ///
    /// # Errors
    /// [`Fault::conflict`] where nobody said which id it has, and several look like it, or where
    /// the id that somebody said is that of one that looks otherwise.
    pub(crate) fn find(&self, credential: &Credential) -> Result<Option<&str>, Fault> {
        let id = credential.username()?;
        if id.is_empty() {
            return self.like(credential, |_| true);
        }
        let Some(one) = self.all.iter().find(|known| known.id == id) else { return Ok(None) };
        // Somebody else's would be removed otherwise.
        if !one.begins.is_empty() && !one.is(credential.password()?.expose()) {
            return Err(Fault::conflict(format!(
                "{} is the id of another one: what is shown of that one does not fit; give the id \
                 of this one",
                self.field
            )));
        }
        Ok(Some(&one.id))
    }

    /// The ids of those that came after the one with this id.
    pub(crate) fn after<'a>(&'a self, before: &'a str) -> impl Iterator<Item = &'a str> {
        let label = label(before);
        let is = move |one: &&Listed| one.label == label && one.id != before;
        self.all.iter().filter(is).map(|one| one.id.as_str())
    }

    /// The id of the `old` one, where it still is there beside the `current` one, which is never
    /// it. One that only looks like it may be somebody else's: it is the one that the current one
    /// came after, if that is known.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) fn find_old(
        &self,
        current: &Credential,
        old: &Credential,
    ) -> Result<Option<&str>, Fault> {
        let now = match current.username()? {
            "" => self.find(current).ok().flatten(),
            _ => self.find(current)?,
        };
        let now = now.unwrap_or_default();
        if !old.username()?.is_empty() {
            return Ok(self.find(old)?.filter(|id| *id != now));
        }
        let current = self.all.iter().find(|one| one.id == now);
        let before = current.and_then(|one| one.label.strip_prefix(LABEL));
        self.like(old, |id| id != now && before.is_none_or(|before| before == id))
    }

    /// The id of the one that looks like this, of those that may be it.
    fn like(
        &self,
        credential: &Credential,
        may_be: impl Fn(&str) -> bool,
    ) -> Result<Option<&str>, Fault> {
        let text = credential.password()?;
        let mut found = self.all.iter().filter(|one| may_be(&one.id) && one.is(text.expose()));
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|one| one.id.as_str())),
            _ => Err(Fault::conflict(format!(
                "two look alike where they are shown, so nobody knows which one this is; remove \
                 the other one there, or give {}",
                self.field
            ))),
        }
    }
}

#[cfg(test)]
mod tests;

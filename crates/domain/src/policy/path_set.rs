//! Rule paths that belong to nobody's role, such as those an account calls production.

use std::ops::ControlFlow;

use super::bind::Binder;
use super::case::Case;
use super::pattern::RulePattern;
use super::probe::{PathProbe, PatternProbe};
use super::trie::{RuleId, Trie, Visit};
use crate::claims::SubClaims;

/// A set of rule paths without templates; one with a template covers nothing.
#[derive(Clone, Debug)]
pub struct PathSet<'p> {
    paths: Vec<&'p str>,
    trie: Trie,
}

impl<'p> PathSet<'p> {
    /// The set of these; what does not parse is left out.
    pub fn new(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let (paths, claims): (Vec<_>, _) = (paths.into_iter().collect(), SubClaims::default());
        let mut binder = Binder::new(&claims);
        let mut patterns = Vec::new();
        for (id, path) in paths.iter().enumerate() {
            let Ok(pattern) = RulePattern::parse(path) else { continue };
            let bound = binder.bind(&pattern, Case::Sensitive, false);
            patterns.extend(bound.into_iter().map(|pattern| (pattern, id)));
        }
        Self { paths, trie: Trie::build(patterns) }
    }

    /// A member that covers the object at `path`.
    pub fn covering(&self, path: &str) -> Option<&'p str> {
        let mut first = First(None);
        // Whether it broke shows in `first`.
        let _ = self.trie.containing(PathProbe::new(path), &mut first);
        self.paths.get(first.0?).copied()
    }

    /// A member that may have something in common with the rule path `pattern`.
    pub fn overlapping(&self, pattern: &str) -> Option<&'p str> {
        RulePattern::parse(pattern).ok()?;
        let mut first = First(None);
        // Whether it broke shows in `first`.
        let _ = self.trie.overlapping(PatternProbe::new(pattern), &mut first);
        self.paths.get(first.0?).copied()
    }
}

/// Ends a walk at what it finds first.
struct First(Option<RuleId>);

impl Visit for First {
    fn rule(&mut self, rule: RuleId) -> ControlFlow<()> {
        self.0 = Some(rule);
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_paths_and_touches_patterns() {
        let set = PathSet::new(["/prod/*", "/+/live", "/a//b", "/{{u}}/*"]);
        for (path, expected) in
            [("/prod/db", Some("/prod/*")), ("/x/live", Some("/+/live")), ("/a/b", None)]
        {
            assert_eq!(set.covering(path), expected, "{path}");
        }
        for (pattern, expected) in [
            ("/*", true),
            ("/prod/team/*", true),
            ("/pr*", true),
            ("/{{u}}/db", true),
            ("/production", false),
            ("/dev/*", true),
            ("/dev/db", false),
            ("/a//b", false),
        ] {
            assert_eq!(set.overlapping(pattern).is_some(), expected, "{pattern}");
        }
    }
}

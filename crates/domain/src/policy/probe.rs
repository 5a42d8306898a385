//! What a set of patterns is asked about: a path, or another pattern.
//!
//! Both are seen one segment at a time. A path is all known text; a pattern has segments of which
//! only the start is known, and may end in a tail.

use super::pattern::split_segment;

/// A segment as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// The whole segment, or how it starts.
    pub(super) known: &'a str,
    /// Whether anything may follow `known` within the segment.
    pub(super) open: bool,
}

impl<'a> Text<'a> {
    const fn whole(known: &'a str) -> Self {
        Self { known, open: false }
    }

    const fn starting(known: &'a str) -> Self {
        Self { known, open: true }
    }

    /// Whether this may be a segment; the empty text after a folder's trailing slash is none.
    pub(super) const fn is_segment(self) -> bool {
        self.open || !self.known.is_empty()
    }
}

/// The next thing a [`Probe`] has to say.
pub(super) enum Step<'a, P> {
    /// Nothing: the path ends here.
    End,
    /// A whole segment, then the rest.
    Segment(Text<'a>, P),
    /// A segment that starts so, and any number of segments after it.
    Tail(Text<'a>),
}

/// A path or pattern, read from the front.
pub(super) trait Probe<'a>: Copy {
    /// Takes the next segment.
    fn step(self) -> Step<'a, Self>;
}

/// A path. `/team/` ends in an empty text, so that `/team/*` covers it and `/team` does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathProbe<'a>(Option<&'a str>);

impl<'a> PathProbe<'a> {
    /// The path with or without its leading slash.
    pub(super) fn new(path: &'a str) -> Self {
        Self(Some(path.strip_prefix('/').unwrap_or(path)))
    }
}

impl<'a> Probe<'a> for PathProbe<'a> {
    fn step(self) -> Step<'a, Self> {
        let Some(rest) = self.0 else { return Step::End };
        match rest.split_once('/') {
            Some((segment, rest)) => Step::Segment(Text::whole(segment), Self(Some(rest))),
            None => Step::Segment(Text::whole(rest), Self(None)),
        }
    }
}

/// Everything in and below a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct FolderProbe<'a>(&'a str);

impl<'a> FolderProbe<'a> {
    /// The folder with or without its slashes.
    pub(super) fn new(folder: &'a str) -> Self {
        let folder = folder.strip_prefix('/').unwrap_or(folder);
        Self(folder.strip_suffix('/').unwrap_or(folder))
    }
}

impl<'a> Probe<'a> for FolderProbe<'a> {
    fn step(self) -> Step<'a, Self> {
        if self.0.is_empty() {
            return Step::Tail(Text::starting(""));
        }
        let (segment, rest) = self.0.split_once('/').unwrap_or((self.0, ""));
        Step::Segment(Text::whole(segment), Self(rest))
    }
}

/// A pattern in the text of a [`super::pattern::RulePattern`]; a template may be any text.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatternProbe<'a>(Option<&'a str>);

impl<'a> PatternProbe<'a> {
    /// The pattern, which must have been parsed before, with or without its leading slash.
    pub(super) fn new(pattern: &'a str) -> Self {
        Self(Some(pattern.strip_prefix('/').unwrap_or(pattern)))
    }
}

impl<'a> Probe<'a> for PatternProbe<'a> {
    fn step(self) -> Step<'a, Self> {
        let Some(rest) = self.0 else { return Step::End };
        let (segment, rest) = split_segment(rest);
        let lead = segment.split_once("{{").map(|(lead, _)| lead);
        if let (None, Some(stem)) = (rest, segment.strip_suffix('*')) {
            return Step::Tail(Text::starting(lead.unwrap_or(stem)));
        }
        let text = match lead {
            Some(lead) => Text::starting(lead),
            None if segment == "+" => Text::starting(""),
            None => Text::whole(segment),
        };
        Step::Segment(text, Self(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell<'a>(mut probe: impl Probe<'a>) -> String {
        let mut spelled = String::new();
        loop {
            let (text, end) = match probe.step() {
                Step::End => return spelled,
                Step::Segment(text, rest) => {
                    probe = rest;
                    (text, false)
                }
                Step::Tail(text) => (text, true),
            };
            spelled.push_str(&format!("[{}{}]", text.known, if text.open { "?" } else { "" }));
            if end {
                return spelled + "...";
            }
        }
    }

    #[test]
    fn reads_segments() {
        assert_eq!(spell(PathProbe::new("/a/b")), "[a][b]");
        assert_eq!(spell(PathProbe::new("a/{{b/")), "[a][{{b][]");
        assert_eq!(spell(PathProbe::new("/")), "[]");
        assert_eq!(spell(FolderProbe::new("/a/b/")), "[a][b][?]...");
        assert_eq!(spell(FolderProbe::new("/")), "[?]...");
        assert_eq!(spell(PatternProbe::new("/a/+/x-{{u}}/b")), "[a][?][x-?][b]");
        assert_eq!(spell(PatternProbe::new("/a/b-*")), "[a][b-?]...");
        assert_eq!(spell(PatternProbe::new("/{{https://x/y}}-z/b{{u}}*")), "[?][b?]...");
    }
}

//! Bound patterns in a trie of segments: finds the rules that cover a path or a pattern.
//!
//! One step per segment and branch: the child spelled so, the `+` child, and the templates at that
//! node. A walk allocates nothing. Its depth is that of the deepest pattern, and so bounded.

use std::ops::ControlFlow;

use super::bind::{BoundParts, BoundPattern, BoundSegment};
use super::case::Case;
use super::probe::{Probe, Step, Text};
use super::template::Template;
use super::text_table::TextTable;

/// Index of a rule in the rule set that owns the trie.
pub(super) type RuleId = usize;

type NodeId = usize;
const ROOT: NodeId = 0;

/// What is told of the rules a walk finds.
pub(super) trait Visit {
    /// A rule was found; the same one may be found again. Breaking ends the walk.
    fn rule(&mut self, rule: RuleId) -> ControlFlow<()>;

    /// A node was entered: the measure of the walk's work.
    fn node(&mut self) {}
}

impl<F: FnMut(RuleId) -> ControlFlow<()>> Visit for F {
    fn rule(&mut self, rule: RuleId) -> ControlFlow<()> {
        self(rule)
    }
}

/// The patterns of one kind and effect.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    /// Children by the text of their segment.
    texts: TextTable<NodeId>,
    /// The child for `+`.
    any: Option<NodeId>,
    /// Children by template.
    templates: Vec<(Template, NodeId)>,
    /// Rules whose pattern ends here.
    ends: Vec<RuleId>,
    /// Rules with a tail, by what the next segment starts with.
    tails: TextTable<Vec<RuleId>>,
    /// Rules with a tail that is a template.
    template_tails: Vec<(Template, Vec<RuleId>)>,
}

impl Trie {
    /// The trie of these patterns.
    pub(super) fn build(mut patterns: Vec<(BoundPattern, RuleId)>) -> Self {
        patterns.sort_by_cached_key(|(pattern, _)| pattern.sort_key());
        let mut trie = Self { nodes: vec![Node::new()] };
        for (pattern, rule) in patterns {
            trie.insert(pattern, rule);
        }
        for node in &mut trie.nodes {
            node.texts.link();
            node.tails.link();
        }
        trie
    }

    /// Visits every rule whose pattern matches all that `probe` stands for.
    ///
    /// For a path that is exact. For a pattern it errs to the safe side: a rule is visited only
    /// when its own pattern alone provably contains the other.
    pub(super) fn containing<'p>(
        &self,
        probe: impl Probe<'p>,
        visit: &mut impl Visit,
    ) -> ControlFlow<()> {
        self.containing_from(&self.nodes[ROOT], probe, visit)
    }

    /// Visits every rule whose pattern may match something that `probe` stands for.
    ///
    /// Errs to the safe side: a rule is left out only when the two provably have nothing in common.
    pub(super) fn overlapping<'p>(
        &self,
        probe: impl Probe<'p>,
        visit: &mut impl Visit,
    ) -> ControlFlow<()> {
        self.overlapping_from(&self.nodes[ROOT], probe, visit)
    }

    fn insert(&mut self, pattern: BoundPattern, rule: RuleId) {
        let mut at = ROOT;
        for segment in pattern.segments {
            at = self.child(at, segment);
        }
        let node = &mut self.nodes[at];
        match pattern.tail {
            None => node.ends.push(rule),
            Some(BoundParts::Text(text)) => node.tails.entry(&text, Vec::new).push(rule),
            Some(BoundParts::Template(template)) => {
                match node.template_tails.iter_mut().find(|(known, _)| known.same(&template)) {
                    Some((_, rules)) => rules.push(rule),
                    None => node.template_tails.push((template, vec![rule])),
                }
            }
        }
    }

    fn child(&mut self, at: NodeId, segment: BoundSegment) -> NodeId {
        let fresh = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            BoundSegment::Any => *node.any.get_or_insert(fresh),
            BoundSegment::Parts(BoundParts::Text(text)) => *node.texts.entry(&text, || fresh),
            BoundSegment::Parts(BoundParts::Template(template)) => {
                match node.templates.iter().find(|(known, _)| known.same(&template)) {
                    Some((_, child)) => *child,
                    None => {
                        node.templates.push((template, fresh));
                        fresh
                    }
                }
            }
        };
        if child == fresh {
            self.nodes.push(Node::new());
        }
        child
    }

    fn containing_from<'p>(
        &self,
        node: &Node,
        probe: impl Probe<'p>,
        visit: &mut impl Visit,
    ) -> ControlFlow<()> {
        visit.node();
        let (text, rest) = match probe.step() {
            Step::End => return all(&node.ends, visit),
            Step::Tail(text) => return node.tails_containing(text, visit),
            Step::Segment(text, rest) => (text, rest),
        };
        node.tails_containing(text, visit)?;
        if !text.open {
            if let Some(child) = node.texts.get(text.known) {
                self.containing_from(&self.nodes[*child], rest, visit)?;
            }
            for (template, child) in &node.templates {
                if template.matches(text.known) {
                    self.containing_from(&self.nodes[*child], rest, visit)?;
                }
            }
        }
        match node.any {
            Some(child) if text.is_segment() => {
                self.containing_from(&self.nodes[child], rest, visit)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn overlapping_from<'p>(
        &self,
        node: &Node,
        probe: impl Probe<'p>,
        visit: &mut impl Visit,
    ) -> ControlFlow<()> {
        visit.node();
        match probe.step() {
            Step::End => all(&node.ends, visit),
            Step::Tail(text) => {
                node.tails_overlapping(text, visit)?;
                node.children_overlapping(text, |child| self.below(&self.nodes[child], visit))
            }
            Step::Segment(text, rest) => {
                node.tails_overlapping(text, visit)?;
                node.children_overlapping(text, |child| {
                    self.overlapping_from(&self.nodes[child], rest, visit)
                })
            }
        }
    }

    /// Visits every rule at `node` and below it.
    fn below(&self, node: &Node, visit: &mut impl Visit) -> ControlFlow<()> {
        visit.node();
        all(&node.ends, visit)?;
        for rules in node.tails.values().chain(node.template_tails.iter().map(|(_, rules)| rules)) {
            all(rules, visit)?;
        }
        let templates = node.templates.iter().map(|(_, child)| child);
        for child in node.texts.values().chain(&node.any).chain(templates) {
            self.below(&self.nodes[*child], visit)?;
        }
        ControlFlow::Continue(())
    }

    /// Number of nodes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }
}

impl Node {
    const fn new() -> Self {
        Self {
            texts: TextTable::new(Case::Sensitive),
            any: None,
            templates: Vec::new(),
            ends: Vec::new(),
            tails: TextTable::new(Case::Sensitive),
            template_tails: Vec::new(),
        }
    }

    /// Tails that match whatever follows the known text of a segment.
    fn tails_containing(&self, text: Text<'_>, visit: &mut impl Visit) -> ControlFlow<()> {
        for (_, rules) in self.tails.prefixes_of(text.known) {
            all(rules, visit)?;
        }
        for (template, rules) in &self.template_tails {
            if template.starts(text.known) {
                all(rules, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn tails_overlapping(&self, text: Text<'_>, visit: &mut impl Visit) -> ControlFlow<()> {
        self.tails_containing(text, visit)?;
        if !text.open {
            return ControlFlow::Continue(());
        }
        for rules in self.tails.starting_with(text.known) {
            all(rules, visit)?;
        }
        for (template, rules) in &self.template_tails {
            if may_start_alike(template.lead(), text.known) {
                all(rules, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn children_overlapping(
        &self,
        text: Text<'_>,
        mut each: impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if text.open {
            for child in self.texts.starting_with(text.known) {
                each(*child)?;
            }
        } else if let Some(child) = self.texts.get(text.known) {
            each(*child)?;
        }
        for (template, child) in &self.templates {
            let possible = if text.open {
                may_start_alike(template.lead(), text.known)
            } else {
                template.matches(text.known)
            };
            if possible {
                each(*child)?;
            }
        }
        self.any.map_or(ControlFlow::Continue(()), each)
    }
}

fn may_start_alike(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn all(rules: &[RuleId], visit: &mut impl Visit) -> ControlFlow<()> {
    rules.iter().try_for_each(|rule| visit.rule(*rule))
}

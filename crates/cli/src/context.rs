//! What every verb can use during a run.

use keysherd_base::Clock;

use crate::globals::Globals;
use crate::program::Program;
use crate::store::Places;
use crate::terminal::Terminal;

/// Reads one variable of the environment.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One run.
pub(crate) struct Context<'a, 't> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) env: Env<'a>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) terminal: &'a mut Terminal<'t>,
    pub(crate) globals: Globals,
    pub(crate) places: Places,
}

impl Context<'_, '_> {
    /// A variable of the environment; empty counts as unset.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The first of several variables that is set.
    pub(crate) fn env_any(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.env(name))
    }

    /// A warning on standard error, unless warnings are switched off.
    pub(crate) fn warn(&mut self, text: &str) {
        if !self.globals.no_warn {
            self.terminal.note(&format!("Warning: {text}"));
        }
    }

    /// A line on standard error, when asked for. Never a secret.
    pub(crate) fn debug(&mut self, text: &str) {
        if self.globals.debug {
            self.terminal.note(&format!("debug: {text}"));
        }
    }
}

//! What a person sees while a command waits for somebody else's server.
//!
//! Only on a terminal, only for commands that wait for one, and only after a moment: whoever reads
//! the output with a program, or asks for JSON, sees nothing of it.

use std::time::Duration;

use serde_json::Value;

use crate::context::Context;
use crate::globals::Format;

/// How long nothing is said, and then how often what is said changes.
const STEP: Duration = Duration::from_secs(1);
/// Longest name that is shown, in characters: what is shown has to fit into a line.
const NAME_CHARS_MAX: usize = 40;

/// What is shown while a call waits.
pub(crate) struct Waiting {
    text: String,
}

impl Waiting {
    /// What to show while `command` is called with this body; `None`: nothing.
    pub(crate) fn of(context: &Context<'_, '_>, command: &str, body: &Value) -> Option<Self> {
        if !context.terminal.stderr_is_terminal || context.globals.format == Format::Json {
            return None;
        }
        let what = context.program.waits_for(command)?;
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let colon = if name.is_empty() { "" } else { ": " };
        Some(Self { text: format!("{name}{colon}waiting for {what}") })
    }

    /// What is said of it, but for how long it has taken.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Waits for `call`, and says after a moment for how long.
    pub(crate) async fn during<T>(
        self,
        context: &mut Context<'_, '_>,
        call: impl Future<Output = T>,
    ) -> T {
        let mut call = std::pin::pin!(call);
        let mut seconds = 0_u64;
        loop {
            if let Ok(answer) = tokio::time::timeout(STEP, &mut call).await {
                if seconds > 0 {
                    context.terminal.show_wait("");
                }
                return answer;
            }
            seconds += STEP.as_secs();
            context.terminal.show_wait(&format!("{} ({seconds} s)", self.text));
        }
    }
}

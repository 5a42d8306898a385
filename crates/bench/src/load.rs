//! Fills the store through the API, many writes at one time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actor::Actor;
use crate::connection::Endpoint;
use crate::console::note;
use crate::generator::Fleet;
use crate::names::Names;
use crate::scripts::{Create, Script};
use crate::walk::Walk;

/// Connections that write: enough for full group commits.
const CONNECTIONS: usize = 128;
/// Secrets between two lines of progress, and between two logins.
const PART: u32 = 5_000;
/// Longest time for one part: 5 secrets a second.
const PART_MAX: Duration = Duration::from_secs(1_000);

/// Makes the secrets from number `from` on.
///
/// # Errors
/// When the server refuses, or is too slow by far.
pub(crate) async fn load(
    endpoint: &Endpoint,
    actor: &Actor,
    names: &Arc<Names>,
    from: u32,
) -> Result<(), String> {
    let count = names.count();
    let mut start = from;
    while start < count {
        let end = count.min(start.saturating_add(PART));
        let begin = Instant::now();
        let token = actor.login(endpoint).await?;
        let walk = Arc::new(Walk::in_order(start..end));
        let scripts = (0..CONNECTIONS)
            .map(|_| Box::new(Create::new(&token, names.clone(), walk.clone())) as Box<dyn Script>)
            .collect();
        let mut fleet = Fleet::connect(endpoint, CONNECTIONS).await?;
        fleet.run(scripts, PART_MAX).await?;
        if walk.left() > 0 {
            return Err("loading takes too long".to_owned());
        }
        let rate = f64::from(end - start) / begin.elapsed().as_secs_f64();
        note(&format!("loaded {end} of {count} secrets, {rate:.0} a second"));
        start = end;
    }
    Ok(())
}

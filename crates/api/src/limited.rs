//! Who may use this gateway at all: lists of access ids that its operator keeps, looked at before
//! every command. What a caller may do is still decided by control.

use std::collections::BTreeSet;
use std::sync::Arc;

use keysherd_base::{AccessId, Fault, FaultKind};
use keysherd_crypto::hash::sha256;
use keysherd_plane::auth::OwnMethod;
use keysherd_wire::{Access, Args, Command, Run};
use quick_cache::sync::Cache;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;

/// Most tokens of which the auth method is remembered. Those in use stay when there are more: what
/// may be read while control is away has to find its token here.
const TOKENS_MAX: usize = 100_000;

/// The lists.
pub struct Limited {
    /// Nobody but these; `None`: everybody.
    only: Option<BTreeSet<AccessId>>,
    /// These not.
    never: BTreeSet<AccessId>,
    /// The auth method of a token never changes.
    known: Cache<[u8; 32], AccessId>,
}

impl Limited {
    /// The lists `only` (empty: everybody) and `never`; `None` when they keep nobody out.
    pub fn new(only: Vec<AccessId>, never: Vec<AccessId>) -> Option<Arc<Self>> {
        if only.is_empty() && never.is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            only: (!only.is_empty()).then(|| only.into_iter().collect()),
            never: never.into_iter().collect(),
            known: Cache::new(TOKENS_MAX),
        }))
    }

    /// `command` for those only who may use the gateway. It lives as long as the program.
    pub fn guard(self: &Arc<Self>, command: &'static ApiCommand) -> &'static ApiCommand {
        let this = self.clone();
        let run = move |ctx: Ctx, args: Args| -> Run {
            let this = this.clone();
            Box::pin(async move {
                this.admit(command, &ctx, &args).await?;
                (command.run)(ctx, args).await
            })
        };
        Box::leak(Box::new(Command { spec: command.spec, run: Box::leak(Box::new(run)) }))
    }

    async fn admit(&self, command: &ApiCommand, ctx: &Ctx, args: &Args) -> Result<(), Fault> {
        // Who signs in says as whom; who does not say it gets a token that is of no use here.
        let open = command.spec.access == Access::Open;
        if open
            && let Some(id) = args.raw("access-id").and_then(|id| id.as_str())
            && let Ok(id) = AccessId::parse(id)
        {
            self.check(&id)?;
        }
        let Some(token) = ctx.caller().token.clone() else { return Ok(()) };
        match self.method_of(ctx, &token).await {
            Ok(id) => self.check(&id),
            // Such a command says itself what it makes of a token that is not good.
            Err(fault) if open && fault.kind() == FaultKind::Unauthorized => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn method_of(&self, ctx: &Ctx, token: &str) -> Result<AccessId, Fault> {
        let digest = sha256(&[token.as_bytes()]);
        if let Some(known) = self.known.get(&digest) {
            return Ok(known);
        }
        let id = ctx.ask(OwnMethod).await?.access_id;
        self.known.insert(digest, id.clone());
        Ok(id)
    }

    fn check(&self, id: &AccessId) -> Result<(), Fault> {
        let out = self.only.as_ref().is_some_and(|only| !only.contains(id));
        if out || self.never.contains(id) {
            return Err(Fault::forbidden(format!(
                "access id {id} may not use this gateway; its operator decides that with \
                 --restrict-service-to-access-ids and --blocklist-access-ids"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: char) -> AccessId {
        AccessId::parse(&format!("p-aaaaaaaaaaaaa{last}")).unwrap()
    }

    #[test]
    fn both_lists_keep_out_and_the_second_wins() {
        assert!(Limited::new(Vec::new(), Vec::new()).is_none());
        let both = Limited::new(vec![id('a'), id('b')], vec![id('b')]).unwrap();
        assert!(both.check(&id('a')).is_ok());
        for out in ['b', 'c'] {
            assert_eq!(both.check(&id(out)).unwrap_err().kind(), FaultKind::Forbidden);
        }
        let never = Limited::new(Vec::new(), vec![id('b')]).unwrap();
        assert!(never.check(&id('c')).is_ok() && never.check(&id('b')).is_err());
    }

    #[test]
    fn a_token_in_use_stays_known_however_many_others_come() {
        let lists = Limited::new(vec![id('a')], Vec::new()).unwrap();
        let token = |number: usize| sha256(&[&number.to_be_bytes()]);
        let in_use = token(0);
        lists.known.insert(in_use, id('a'));
        for number in 1..=3 * TOKENS_MAX {
            lists.known.insert(token(number), id('b'));
            if number % 1_000 == 0 {
                assert_eq!(lists.known.get(&in_use), Some(id('a')), "after {number} others");
            }
        }
        assert!(lists.known.len() <= TOKENS_MAX, "{}", lists.known.len());
    }
}

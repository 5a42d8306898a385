//! Who there is in an account, in memory: settings, auth methods, roles and associations.
//!
//! One immutable [`AccountDirectory`] per account; requests take an `Arc` of it without a lock.
//! When the store's change feed tells of a change of identities (`follow`), the account's directory
//! is forgotten, and read again by the next request that needs it; others wait for that one instead
//! of reading it, too ([`queue`]). At most [`ACCOUNTS_MAX`] accounts are kept.

mod queue;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use keysherd_base::{AccountId, AssocId, Fault, ItemPath};
use keysherd_domain::account::Account;
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Assoc, Role};
use keysherd_store::{Store, accounts, assocs, auth_methods, patiently, roles};

use crate::control::Control;
use crate::generations::Generations;
use crate::session::Principal;
use queue::{Queues, Reading};
use rules::RuleSets;

/// Accounts whose directory is kept in memory.
const ACCOUNTS_MAX: usize = 1_024;

/// Accounts that are read at the same time.
const TURNS: usize = 64;

type Accounts = HashMap<AccountId, Arc<AccountDirectory>>;

/// The directories of the accounts in use.
pub(crate) struct Directory {
    store: Store,
    accounts: ArcSwap<Accounts>,
    generations: Generations,
    /// One for each few accounts, held while one of them is read. Never across an await.
    turns: Box<[Mutex<()>]>,
    queues: Arc<Queues>,
    versions: AtomicU64,
}

impl Directory {
    /// An empty directory over `store`.
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            accounts: ArcSwap::default(),
            generations: Generations::default(),
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            queues: Arc::default(),
            versions: AtomicU64::new(1),
        }
    }

    /// The directory of an account; `None` when there is no such account. One reading answers all
    /// who came before it began, also where the account changes again meanwhile.
    ///
    /// # Errors
    /// Those of the store, when the account is not in memory; [`Fault::unavailable`] when too many
    /// wait for it.
    pub(crate) async fn ready(self: &Arc<Self>, id: AccountId) -> Result<Reading, Fault> {
        if let Some(account) = self.kept(id) {
            return Ok(Some(account));
        }
        let queue = self.queues.of(id);
        let place = queue.enter()?;
        let before = queue.begun.load(Ordering::SeqCst);
        let mut last = Arc::clone(&queue.reading).lock_owned().await;
        if queue.begun.load(Ordering::SeqCst) != before
            && let Some(reading) = &*last
        {
            return Ok(reading.clone());
        }
        // What is in place follows the store.
        if let Some(account) = self.kept(id) {
            return Ok(Some(account));
        }
        queue.begun.fetch_add(1, Ordering::SeqCst);
        self.queues.readings.fetch_add(1, Ordering::Relaxed);
        *last = None;
        let this = Arc::clone(self);
        // It is finished also when nobody waits for it any more, and nobody reads beside it.
        let read = move || {
            let _place = place;
            let reading = this.load(id)?;
            *last = Some(reading.clone());
            Ok(reading)
        };
        tokio::task::spawn_blocking(read).await.map_err(Fault::internal)?
    }

    /// Readings that were begun, and large rule sets that were compiled.
    #[cfg(test)]
    pub(crate) fn made(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.queues.readings), count(&self.queues.compiled))
    }

    /// As [`Self::ready`], for whom nobody waits: it is read by the caller's own thread.
    ///
    /// # Errors
    /// Those of the store, when the account is not in memory.
    pub(crate) fn account(&self, id: AccountId) -> Result<Option<Arc<AccountDirectory>>, Fault> {
        match self.kept(id) {
            Some(account) => Ok(Some(account)),
            None => patiently(|| self.load(id)),
        }
    }

    /// Forgets an account, which is read again when it is needed.
    pub(crate) fn forget(&self, id: AccountId) {
        self.generations.forget(&id, || {
            if self.kept(id).is_some() {
                self.replace(|accounts| drop(accounts.remove(&id)));
            }
        });
    }

    /// Forgets all accounts.
    pub(crate) fn forget_all(&self) {
        self.generations.forget_all();
        self.accounts.store(Arc::default());
    }

    fn kept(&self, id: AccountId) -> Option<Arc<AccountDirectory>> {
        self.accounts.load().get(&id).map(Arc::clone)
    }

    fn load(&self, id: AccountId) -> Result<Option<Arc<AccountDirectory>>, Fault> {
        let turn = usize::from(id.0.0[0]) % TURNS;
        let _turn = self.turns[turn].lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had the turn before may have read it. What is in place follows the store.
        if let Some(account) = self.kept(id) {
            return Ok(Some(account));
        }
        let ticket = self.generations.ticket(&id);
        let Some(content) = read(&self.store, id)? else { return Ok(None) };
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        let queues = Arc::clone(&self.queues);
        let account = Arc::new(AccountDirectory::new(version, content, queues));
        self.generations.keep(ticket, || self.put(id, &account));
        Ok(Some(account))
    }

    fn put(&self, id: AccountId, account: &Arc<AccountDirectory>) {
        self.replace(|accounts| {
            if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(&id) {
                // Which one goes does not matter much: it is read again when it is needed.
                let victim = accounts.keys().next().copied();
                victim.and_then(|victim| accounts.remove(&victim));
            }
            accounts.insert(id, Arc::clone(account));
        });
    }

    fn replace(&self, change: impl Fn(&mut Accounts)) {
        self.accounts.rcu(|accounts| {
            let mut accounts = Accounts::clone(accounts);
            change(&mut accounts);
            accounts
        });
    }
}

impl Control {
    /// The directory of the bearer's account: that in memory, or else the one that the bearer was
    /// looked up in, which knows every change from before the request.
    pub(crate) fn directory_of(&self, principal: &Principal) -> Arc<AccountDirectory> {
        let kept = self.directory.kept(principal.account);
        kept.unwrap_or_else(|| Arc::clone(&principal.directory))
    }
}

/// What the store holds of one account's identities.
struct Content {
    account: Account,
    methods: Vec<AuthMethod>,
    roles: Vec<Role>,
    assocs: Vec<Assoc>,
}

/// One account's identities at one moment.
pub(crate) struct AccountDirectory {
    /// Differs between any two readings in this process.
    pub(crate) version: u64,
    /// The account and its settings.
    pub(crate) account: Arc<Account>,
    methods: BTreeMap<ItemPath, Arc<AuthMethod>>,
    methods_by_id: HashMap<i64, Arc<AuthMethod>>,
    roles: BTreeMap<ItemPath, Arc<Role>>,
    roles_by_id: HashMap<i64, Arc<Role>>,
    assocs: HashMap<AssocId, Arc<Assoc>>,
    assocs_by_method: HashMap<i64, Vec<Arc<Assoc>>>,
    assocs_by_role: HashMap<i64, Vec<Arc<Assoc>>>,
    rule_sets: RuleSets,
    queues: Arc<Queues>,
}

impl fmt::Debug for AccountDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountDirectory").field("version", &self.version).finish_non_exhaustive()
    }
}

impl AccountDirectory {
    fn new(version: u64, content: Content, queues: Arc<Queues>) -> Self {
        let mut directory = Self {
            version,
            account: Arc::new(content.account),
            methods: BTreeMap::new(),
            methods_by_id: HashMap::new(),
            roles: BTreeMap::new(),
            roles_by_id: HashMap::new(),
            assocs: HashMap::new(),
            assocs_by_method: HashMap::new(),
            assocs_by_role: HashMap::new(),
            rule_sets: RuleSets::default(),
            queues,
        };
        for method in content.methods.into_iter().map(Arc::new) {
            directory.methods_by_id.insert(method.id, Arc::clone(&method));
            directory.methods.insert(method.path.clone(), method);
        }
        for role in content.roles.into_iter().map(Arc::new) {
            directory.roles_by_id.insert(role.id, Arc::clone(&role));
            directory.roles.insert(role.path.clone(), role);
        }
        for assoc in content.assocs.into_iter().map(Arc::new) {
            directory.assocs_by_method.entry(assoc.method).or_default().push(Arc::clone(&assoc));
            directory.assocs_by_role.entry(assoc.role).or_default().push(Arc::clone(&assoc));
            directory.assocs.insert(assoc.id.clone(), assoc);
        }
        directory
    }

    /// Whether this method is the account owner's.
    pub(crate) fn is_owner(&self, method: &AuthMethod) -> bool {
        self.account.owner_method == method.id
    }

    /// A method by its integer id.
    pub(crate) fn method_by_id(&self, id: i64) -> Option<&Arc<AuthMethod>> {
        self.methods_by_id.get(&id)
    }

    /// A method by its path.
    pub(crate) fn method(&self, path: &ItemPath) -> Option<&Arc<AuthMethod>> {
        self.methods.get(path)
    }

    /// Methods by path, from after this one.
    pub(crate) fn methods_after(
        &self,
        after: Option<&ItemPath>,
    ) -> impl Iterator<Item = &Arc<AuthMethod>> {
        self.methods.range((start(after), Bound::Unbounded)).map(|(_, method)| method)
    }

    /// Number of methods.
    pub(crate) fn methods_len(&self) -> usize {
        self.methods.len()
    }

    /// A role by its integer id.
    pub(crate) fn role_by_id(&self, id: i64) -> Option<&Arc<Role>> {
        self.roles_by_id.get(&id)
    }

    /// A role by its path.
    pub(crate) fn role(&self, path: &ItemPath) -> Option<&Arc<Role>> {
        self.roles.get(path)
    }

    /// Roles by path, from after this one.
    pub(crate) fn roles_after(&self, after: Option<&ItemPath>) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.range((start(after), Bound::Unbounded)).map(|(_, role)| role)
    }

    /// Number of rules in all roles.
    pub(crate) fn rules_len(&self) -> usize {
        self.roles.values().map(|role| role.rules.len()).sum()
    }

    /// Number of roles.
    pub(crate) fn roles_len(&self) -> usize {
        self.roles.len()
    }

    /// An association by its id.
    pub(crate) fn assoc(&self, id: &AssocId) -> Option<&Arc<Assoc>> {
        self.assocs.get(id)
    }

    /// The associations of a method.
    pub(crate) fn assocs_of_method(&self, method: i64) -> &[Arc<Assoc>] {
        self.assocs_by_method.get(&method).map_or(&[], Vec::as_slice)
    }

    /// The associations of a role.
    pub(crate) fn assocs_of_role(&self, role: i64) -> &[Arc<Assoc>] {
        self.assocs_by_role.get(&role).map_or(&[], Vec::as_slice)
    }

    /// The rules that bind the bearer of `claims` by this method. Many are compiled on a thread
    /// that serves nobody, one set of an account at a time.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many wait for that.
    pub(crate) async fn ready_rules(
        self: &Arc<Self>,
        method: i64,
        claims: &Arc<SubClaims>,
    ) -> Result<Arc<RuleSet>, Fault> {
        if let Some(rules) = self.rule_sets.find(method, claims) {
            return Ok(rules);
        }
        if rules::are_few(self, method) {
            return Ok(self.rules(method, claims));
        }
        let queue = self.queues.of(self.account.id);
        let place = queue.enter()?;
        let turn = Arc::clone(&queue.compiling).lock_owned().await;
        if let Some(rules) = self.rule_sets.find(method, claims) {
            return Ok(rules);
        }
        let (this, claims) = (Arc::clone(self), Arc::clone(claims));
        let compile = move || {
            let _held = (place, turn);
            let rules = this.rules(method, &claims);
            this.queues.compiled.fetch_add(1, Ordering::Relaxed);
            rules
        };
        tokio::task::spawn_blocking(compile).await.map_err(Fault::internal)
    }

    /// The rules that bind the bearer of `claims` by this method, compiled by the caller's thread
    /// if need be.
    pub(crate) fn rules(&self, method: i64, claims: &SubClaims) -> Arc<RuleSet> {
        self.rule_sets.get(self, method, claims)
    }
}

fn start(after: Option<&ItemPath>) -> Bound<&ItemPath> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

fn read(store: &Store, id: AccountId) -> Result<Option<Content>, Fault> {
    store.read(|reader| {
        let Some(account) = accounts::get(reader, id)? else { return Ok(None) };
        Ok(Some(Content {
            account,
            methods: auth_methods::all_of(reader, id)?,
            roles: roles::all_of(reader, id)?,
            assocs: assocs::all_of(reader, id)?,
        }))
    })
}

//! The configurations of a cluster as commands see them: what is in the document, else what this
//! gateway kept for itself.

use std::time::Duration;

use keysherd_api::{Config, ConfigName, Configs, in_no_cluster};
use keysherd_base::{AccessId, AccountId, Fault, ItemPath, SecretString};
use keysherd_plane::BoxFuture;
use tokio::sync::watch;

use super::{ClusterConfigs, not_joined, put};
use crate::configs::{Entry, absent, changed_meanwhile, check, taken};

/// How long somebody waits for the document of a gateway that has only just started.
const PATIENCE: Duration = Duration::from_secs(5);

impl Configs for ClusterConfigs {
    fn of_method(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault> {
        let pick = |entry: &Entry| entry.signs_for(kind, name, access_id).then(|| entry.body());
        self.found(pick, self.local.of_method(kind, name, access_id))
    }

    fn get(
        &self,
        account: AccountId,
        kind: &str,
        name: &str,
    ) -> Result<Option<(AccessId, SecretString)>, Fault> {
        let pick = |entry: &Entry| {
            entry.is(account, kind, name).then(|| (entry.access_id.clone(), entry.body()))
        };
        self.found(pick, self.local.get(account, kind, name))
    }

    fn is_shared(&self, account: AccountId) -> Result<bool, Fault> {
        let joined = self.membership.joined().ok_or_else(|| not_joined(&self.membership))?;
        Ok(joined.account == account)
    }

    fn of_cluster<'a>(
        &'a self,
        kind: &'a str,
    ) -> BoxFuture<'a, Result<Option<SecretString>, Fault>> {
        Box::pin(async move {
            let mut news = self.news();
            let known = news.wait_for(|()| self.in_force().of.is_some());
            // Whether nobody tells or nobody can tell: it is not known.
            let in_time = matches!(tokio::time::timeout(PATIENCE, known).await, Ok(Ok(_)));
            if !in_time {
                return Err(not_joined(&self.membership));
            }
            let now = self.in_force();
            let entry =
                now.document.entries.iter().find(|it| it.kind == kind && it.name.is_empty());
            Ok(entry.map(Entry::body))
        })
    }

    fn reseal(
        &self,
        account: AccountId,
        key: Option<ItemPath>,
    ) -> BoxFuture<'_, Result<u32, Fault>> {
        Box::pin(async move {
            match self.is_shared(account)? {
                true => self.sealed_anew(key).await,
                false => Err(in_no_cluster()),
            }
        })
    }

    fn version(&self) -> u32 {
        self.in_force().of.map_or(0, |(_, version)| version)
    }

    fn of_kind(&self, kind: &str) -> Vec<ConfigName> {
        let now = self.in_force();
        let shared = now.document.entries.iter().filter(|entry| entry.kind == kind);
        let mut all: Vec<_> = shared.map(|entry| entry.called(true)).collect();
        for own in self.local.of_kind(kind) {
            // One of the same name that the cluster has is in force instead of it.
            if !all.iter().any(|known| known.account == own.account && known.name == own.name) {
                all.push(own);
            }
        }
        all
    }

    fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn put<'a>(
        &'a self,
        config: Config,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.keep(config, replaces, None))
    }

    fn put_changed<'a>(
        &'a self,
        config: Config,
        read: Option<&'a (AccessId, SecretString)>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let name = config.name.clone();
            self.keep(config, read.map(|_| name.as_str()), read).await
        })
    }

    fn remove<'a>(
        &'a self,
        account: AccountId,
        kind: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            if !self.is_shared(account)? {
                let done = self.local.remove(account, kind, name).await;
                self.news.send_replace(());
                return done;
            }
            let about = |entry: &Entry| entry.is(account, kind, name);
            let edit = |entries: &mut Vec<Entry>| {
                let before = entries.len();
                entries.retain(|entry| !entry.is(account, kind, name));
                Ok(entries.len() < before)
            };
            let shared = self.change(about, edit).await?;
            let local = self.local.remove(account, kind, name).await?;
            self.news.send_replace(());
            Ok(shared || local)
        })
    }
}

impl ClusterConfigs {
    /// Keeps `config`, as [`Configs::put`] says, or [`Configs::put_changed`] if it was made from
    /// `read`.
    async fn keep(
        &self,
        config: Config,
        replaces: Option<&str>,
        read: Option<&(AccessId, SecretString)>,
    ) -> Result<(), Fault> {
        if !self.is_shared(config.account)? {
            let done = self.local.keep_over(config, replaces, read);
            self.news.send_replace(());
            return done;
        }
        let new = Entry::new(config);
        check(&new)?;
        let (account, kind) = (new.account, new.kind.clone());
        let local = self.local.get(account, &kind, replaces.unwrap_or(&new.name))?;
        if replaces.is_none() && local.is_some() {
            return Err(taken(&kind, &new.name));
        }
        let about = |entry: &Entry| {
            entry.is(account, &kind, &new.name)
                || replaces.is_some_and(|old| entry.is(account, &kind, old))
        };
        let edit = |entries: &mut Vec<Entry>| {
            let called = |old: &str| entries.iter().find(|entry| entry.is(account, &kind, old));
            let there = replaces.and_then(called);
            let says = |read: &(AccessId, SecretString)| match there {
                Some(there) => there.says(read),
                None => local
                    .as_ref()
                    .is_some_and(|local| local.0 == read.0 && local.1.expose() == read.1.expose()),
            };
            if !read.is_none_or(says) {
                return Err(changed_meanwhile());
            }
            if let Some(old) = replaces.filter(|_| there.is_none() && local.is_none()) {
                return Err(absent(&kind, old));
            }
            let there = replaces.filter(|_| there.is_some());
            put(entries, &new, there)?;
            Ok(true)
        };
        self.change(about, edit).await?;
        // It is the cluster's from now on; a crash before this leaves one that nobody sees.
        if let Some(old) = replaces.filter(|_| local.is_some()) {
            self.local.remove(account, &kind, old).await?;
            self.news.send_replace(());
        }
        Ok(())
    }
}

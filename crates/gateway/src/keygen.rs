//! Making a protection key: this gateway coordinates, the managers generate (`fragments.md` 5.4).

mod refresh;

use std::future::Future;
use std::sync::Arc;

use keysherd_api::{Ctx, GeneratedKey, KeyWish, RotateWish};
use keysherd_base::{AccountId, Fault, RngHandle, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_domain::item::KeyAlgorithm;
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::keygen::{Exchange, GenerateParams, GenerateRequest};
use keysherd_fragments::manager_set::{ManagerIndex, Threshold};
use keysherd_fragments::manifest::{KeyVersion, Manifest, SignedManifest};
use keysherd_fragments::messages::{GenerateCall, ManagerAnswer, ManagerRequest};
use keysherd_plane::Caller;
use keysherd_plane::grants::{KeyRef, PermitSlot, SignedPermit, WriteTarget};
use keysherd_plane::keys::{KeyBegin, KeyBeginReply};
use keysherd_plane::rotation::{KeyRotate, KeyRotateBegin, KeyRotateReply, RotatedKey};
use tokio::task::JoinSet;

use crate::customer::check_group;
use crate::derive::Derivations;
use crate::managers::{Failure, Managers, permit_of};
use crate::needs::Need;
use crate::writer::Writer;

/// The first version of every key.
pub(crate) const FIRST_VERSION: u32 = 1;

/// What a generation needs.
pub(crate) struct KeyGenerator {
    pub(crate) managers: Arc<Managers>,
    pub(crate) derivations: Arc<Derivations>,
    pub(crate) rng: RngHandle,
}

/// What the managers have to know of the key.
pub(crate) struct KeyPlan {
    pub(crate) account: AccountId,
    pub(crate) key_id: Uid,
    pub(crate) version: u32,
    pub(crate) group: String,
    pub(crate) managers: u8,
    pub(crate) customer_fragment: Option<Uid>,
    pub(crate) permit: SignedPermit,
    pub(crate) self_test_salt: [u8; 32],
}

/// A manifest that all managers signed.
pub(crate) struct MadeKey {
    pub(crate) manifest: Arc<[u8]>,
    pub(crate) threshold: u8,
    pub(crate) manager_millis: Vec<i64>,
}

impl KeyGenerator {
    /// Makes the key `wish` asks for, with sealed material where its algorithm needs some.
    pub(crate) async fn generate(
        &self,
        ctx: &Ctx,
        writer: &Writer,
        wish: KeyWish,
    ) -> Result<GeneratedKey, Fault> {
        let self_test_salt = self.rng.array()?;
        let begin = KeyBegin {
            path: wish.path.clone(),
            algorithm: wish.algorithm,
            managers: wish.managers,
            customer_fragment: wish.customer_fragment,
            self_test_salt,
            description: wish.description,
            tags: wish.tags,
        };
        let KeyBeginReply { account, key_id, group, permit } = ctx.ask(begin).await?;
        let plan = KeyPlan {
            account: AccountId(account),
            key_id,
            version: FIRST_VERSION,
            group,
            managers: wish.managers,
            customer_fragment: wish.customer_fragment,
            permit,
            self_test_salt,
        };
        let made = self.run(&plan, Some(ctx.caller().clone())).await?;
        let sealed = match material_bytes(wish.algorithm) {
            None => None,
            Some(length) => {
                let target = WriteTarget::NewSealedKey {
                    path: wish.path,
                    key_id,
                    customer_fragment: wish.customer_fragment,
                };
                Some(self.material(ctx, writer, target, length).await?)
            }
        };
        let MadeKey { manifest, threshold, manager_millis } = made;
        Ok(GeneratedKey { key_id, manifest, threshold, manager_millis, sealed })
    }

    /// Makes a further version of a key and has it recorded.
    ///
    /// The version is compared with the manifest of the one in use, which this gateway verified
    /// itself: control cannot make a rotation take a key out of its group, or a customer fragment
    /// off it.
    pub(crate) async fn rotate(
        &self,
        ctx: &Ctx,
        writer: &Writer,
        wish: RotateWish,
    ) -> Result<KeyRotateReply, Fault> {
        let self_test_salt = self.rng.array()?;
        let RotateWish { key, managers, customer_fragment } = wish;
        let begin =
            KeyRotateBegin { key: key.clone(), self_test_salt, managers, customer_fragment };
        let begun = ctx.ask(begin).await?;
        let account = AccountId(begun.account);
        let KeyRef { key_id, version, .. } = begun.from;
        let from = KeyVersion { account, id: key_id, version };
        let from = self.derivations.manifest_of(ctx.caller(), from).await?;
        let to = begun.to;
        let plan = KeyPlan {
            account,
            key_id: to.key_id,
            version: to.version,
            group: begun.group,
            managers: begun.managers,
            customer_fragment: to.customer_fragment,
            permit: begun.permit,
            self_test_salt,
        };
        check_step(from.manifest(), &plan, customer_fragment, managers)?;
        let made = self.run(&plan, Some(ctx.caller().clone())).await?;
        let sealed = match (begun.algorithm.and_then(material_bytes), &key) {
            (Some(length), RotatedKey::Named(path)) => {
                let target = WriteTarget::RotatedSealedKey { path: path.clone(), key: to };
                Some(self.material(ctx, writer, target, length).await?)
            }
            _ => None,
        };
        let MadeKey { manifest, threshold, .. } = made;
        let managers = plan.managers;
        ctx.ask(KeyRotate { key, to, manifest, managers, threshold, sealed }).await
    }

    /// Fresh key material, sealed.
    async fn material(
        &self,
        ctx: &Ctx,
        writer: &Writer,
        target: WriteTarget,
        length: usize,
    ) -> Result<Arc<[u8]>, Fault> {
        let mut material = keysherd_base::SecretBytes::new(vec![0; length]);
        self.rng.fill(material.expose_mut())?;
        Ok(writer.seal(ctx, target, material).await?.value.ciphertext)
    }

    /// Has the managers generate, sign and prove one key version, on behalf of `caller`, or of the
    /// server itself when the account does not exist yet.
    pub(crate) async fn run(
        &self,
        plan: &KeyPlan,
        caller: Option<Caller>,
    ) -> Result<MadeKey, Fault> {
        let n = plan.managers;
        let threshold = Threshold::new(n / 2 + 1, n).ok_or_else(|| {
            Fault::bad_request(format!(
                "split-level {n} is not possible: 2 to 7 fragment managers can hold a key"
            ))
        })?;
        let params = self.params(plan, threshold).await?;
        let session = params.session;
        let permit = permit_of(&plan.permit)?;
        let request =
            GenerateRequest { permit_sha256: sha256(&[&permit.body]), params: params.clone() };
        let call = GenerateCall {
            permit,
            request: request.seal(&self.managers.instance),
            endorsement: self.managers.endorsement(),
        };
        let begun = self.round(threshold, &ManagerRequest::GenerateBegin(call)).await?;
        let manager_millis = begun.iter().map(|(_, millis)| *millis).collect();
        let round1 = pick(begun, |answer| match answer {
            ManagerAnswer::Round1(signed) => Some(signed),
            _ => None,
        })?;
        let exchange = ManagerRequest::GenerateExchange(Exchange { session, round1 });
        self.round(threshold, &exchange).await?;
        let collect = ManagerRequest::GenerateCollect { session };
        let proposals = pick(self.round(threshold, &collect).await?, |answer| match answer {
            ManagerAnswer::Proposal(proposal) => Some(proposal),
            _ => None,
        })?;
        let body = params.manifest(&proposals).map_err(disagree)?.to_bytes();
        let sign = ManagerRequest::GenerateSign { session, manifest: body.clone() };
        let signatures = pick(self.round(threshold, &sign).await?, |answer| match answer {
            ManagerAnswer::ManifestSignature(signature) => Some(signature),
            _ => None,
        })?;
        let signed = SignedManifest { body, signatures };
        let trusted = signed.verify(&self.managers.bundle.load()).map_err(disagree)?;
        self.derivations.learn(trusted, signed.to_bytes().into());
        self.self_test(plan, caller).await?;
        // Before anybody records the key: no manager may take it for one that was given up.
        self.round(threshold, &ManagerRequest::CompleteKey(signed.clone())).await?;
        Ok(MadeKey { manifest: signed.to_bytes().into(), threshold: threshold.t(), manager_millis })
    }

    async fn params(&self, plan: &KeyPlan, threshold: Threshold) -> Result<GenerateParams, Fault> {
        // Before any manager starts: a key that this gateway could not use is not made.
        let fragment_check = match &plan.customer_fragment {
            None => [0; 16],
            Some(id) => self.derivations.fragments().get(id).await?.check_value(),
        };
        let bundle = self.managers.bundle.load();
        check_group(&plan.group, plan.customer_fragment.is_some(), bundle.bundle())?;
        let entries = &bundle.bundle().managers;
        let managers: Vec<_> =
            entries.iter().take(usize::from(plan.managers)).map(|entry| entry.key).collect();
        if managers.len() < usize::from(plan.managers) {
            return Err(Fault::bad_request(format!(
                "split-level {}: the trust bundle names only {} fragment managers",
                plan.managers,
                managers.len()
            )));
        }
        let key = KeyVersion { account: plan.account, id: plan.key_id, version: plan.version };
        Ok(GenerateParams {
            session: Uid::random(&*self.rng)?,
            key,
            threshold,
            group: plan.group.clone(),
            fragment: plan.customer_fragment.unwrap_or_default(),
            fragment_check,
            managers,
        })
    }

    /// Sends one request to all managers of the key; every one must answer.
    async fn round(
        &self,
        threshold: Threshold,
        request: &ManagerRequest,
    ) -> Result<Vec<(ManagerAnswer, i64)>, Fault> {
        let mut rounds = JoinSet::new();
        for index in threshold.managers().iter() {
            let (managers, request) = (self.managers.clone(), request.clone());
            rounds.spawn(async move { (index, timed(managers.ask(index, &request)).await) });
        }
        let mut answers = Vec::with_capacity(rounds.len());
        while let Some(joined) = rounds.join_next().await {
            let (index, (answer, millis)) = joined.map_err(Fault::internal)?;
            let answer = answer.map_err(|failure: Failure| failure.fault(index))?;
            answers.push((index, answer, millis));
        }
        answers.sort_by_key(|(index, ..): &(ManagerIndex, _, _)| *index);
        Ok(answers.into_iter().map(|(_, answer, millis)| (answer, millis)).collect())
    }

    /// Two quorums must derive the same key before anything is written under it.
    async fn self_test(&self, plan: &KeyPlan, caller: Option<Caller>) -> Result<(), Fault> {
        let fields = ContextFields {
            class: Class::SelfTest,
            account: plan.account,
            key_id: plan.key_id,
            key_version: plan.version,
            item_id: plan.key_id,
            item_version: 0,
            salt: plan.self_test_salt,
        };
        let caller = caller.unwrap_or_else(|| Caller::of_the_server(plan.key_id));
        let slot = PermitSlot { permit: 0, entry: 0 };
        let customer_fragment = plan.customer_fragment;
        let need = Need { caller, slot, fields, customer_fragment, commitment: None };
        self.derivations.self_test(&plan.permit, need).await
    }
}

/// Bytes of fixed key material an algorithm needs; GCM keys derive one for each window instead.
const fn material_bytes(algorithm: KeyAlgorithm) -> Option<usize> {
    match algorithm {
        KeyAlgorithm::Aes128Gcm | KeyAlgorithm::Aes256Gcm => None,
        KeyAlgorithm::Aes128Cbc => Some(16),
        KeyAlgorithm::Aes128Siv | KeyAlgorithm::Aes256Cbc => Some(32),
        KeyAlgorithm::Aes256Siv => Some(64),
    }
}

/// Refuses a further version that the caller did not ask for.
fn check_step(
    from: &Manifest,
    plan: &KeyPlan,
    fragment: Option<Uid>,
    managers: Option<u8>,
) -> Result<(), Fault> {
    let wanted = fragment.or(from.fragment().copied());
    let size = managers.unwrap_or(from.threshold.n());
    let same = plan.key_id == from.key.id && plan.version > from.key.version;
    if same && plan.group == from.group && plan.customer_fragment == wanted && plan.managers == size
    {
        return Ok(());
    }
    Err(Fault::internal(format!(
        "key {}: control permitted another rotation than was asked for",
        plan.key_id
    )))
}

fn pick<T>(
    answers: Vec<(ManagerAnswer, i64)>,
    choose: impl Fn(ManagerAnswer) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let chosen: Option<Vec<T>> = answers.into_iter().map(|(answer, _)| choose(answer)).collect();
    chosen.ok_or_else(|| Fault::internal("a fragment manager answered another question"))
}

fn disagree(refusal: keysherd_fragments::refusal::Refusal) -> Fault {
    Fault::unavailable(format!("the fragment managers do not agree on the new key: {refusal}"))
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, i64) {
    let start = tokio::time::Instant::now();
    let done = work.await;
    (done, i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX))
}

//! Having the managers refresh a key: this gateway asks one of them, which coordinates.

use keysherd_api::Ctx;
use keysherd_base::{AccountId, Fault, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::epoch::SignedRecord;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::refresh::{RefreshCall, RefreshRequest};
use keysherd_plane::grants::SignedPermit;
use keysherd_plane::refresh::{KeyRefresh, KeyRefreshReply};
use keysherd_plane::rotation::RotatedKey;

use super::KeyGenerator;
use crate::managers::{Failure, permit_of};

impl KeyGenerator {
    /// Has every version of a key refreshed.
    pub(crate) async fn refresh(&self, ctx: &Ctx, key: RotatedKey) -> Result<(), Fault> {
        let salt = self.rng.array()?;
        let KeyRefreshReply { account, key_id, versions } =
            ctx.ask(KeyRefresh { key, salt }).await?;
        for (version, permit) in versions {
            let key = KeyVersion { account: AccountId(account), id: key_id, version };
            let known = self.derivations.manifest_of(ctx.caller(), key).await?;
            let record = self.refresh_version(known.manifest().threshold.n(), &permit).await?;
            let bundle = self.managers.bundle.load();
            let current = record.verify(&bundle, &known).map_err(|refusal| {
                Fault::unavailable(format!("the key was not refreshed as it should be: {refusal}"))
            })?;
            self.derivations.learn_epoch(key, current);
        }
        Ok(())
    }

    /// Asks the first manager that answers to coordinate.
    async fn refresh_version(&self, n: u8, permit: &SignedPermit) -> Result<SignedRecord, Fault> {
        let permit = permit_of(permit)?;
        let mut failed = Fault::unavailable("no fragment manager answers");
        for index in self.managers.indexes().into_iter().filter(|index| index.get() <= n) {
            let request = RefreshRequest {
                permit_sha256: sha256(&[&permit.body]),
                manager: index,
                request_id: Uid::random(&*self.rng)?,
            };
            let call = RefreshCall {
                permit: permit.clone(),
                request: request.seal(&self.managers.instance),
                endorsement: self.managers.endorsement(),
            };
            match self.managers.ask(index, &ManagerRequest::Refresh(call)).await {
                Ok(ManagerAnswer::Refreshed(records)) => {
                    let record = records.into_iter().next();
                    return record.ok_or_else(|| Fault::internal("nothing was refreshed"));
                }
                Ok(_) => failed = Fault::internal("a manager answered another question"),
                Err(failure) => {
                    failed = failure.fault(index);
                    // One that refused has its reason, which the others share.
                    if matches!(failure, Failure::Refused(_)) {
                        break;
                    }
                }
            }
        }
        Err(failed)
    }
}

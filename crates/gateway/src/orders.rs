//! Orders of the owner on their way to the managers, and what managers say about keys. The gateway
//! only carries them: managers verify the owner's signature themselves.

use std::sync::Arc;

use keysherd_api::{ManagerSaid, TakenOrder};
use keysherd_base::Fault;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::order::{DestroyReceipt, KeyReport};
use tokio::task::JoinSet;

use crate::managers::Managers;

/// Brings an order to every manager.
///
/// # Errors
/// [`Fault::bad_request`] for bytes that are no signed order. What a manager says is in its place.
pub(crate) async fn bring(
    managers: &Arc<Managers>,
    order: &[u8],
) -> Result<Vec<ManagerSaid<TakenOrder>>, Fault> {
    let signed = Signed::from_bytes(order).map_err(|_| {
        Fault::bad_request("this is no order of an owner; send the file that owner order made")
    })?;
    let said = ask_all(managers, &ManagerRequest::Order(signed)).await;
    let taken = |answer| match answer {
        ManagerAnswer::OrderTaken { order_id, destroy_at } => {
            Some(TakenOrder { order_id, destroy_at })
        }
        _ => None,
    };
    Ok(said.into_iter().map(|(index, said)| heard(index, said, taken)).collect())
}

/// Asks every manager how key versions are. Receipts that the manager's key did not sign are left
/// out.
pub(crate) async fn reports(
    managers: &Arc<Managers>,
    keys: Vec<KeyVersion>,
) -> Vec<ManagerSaid<Vec<KeyReport>>> {
    let bundle = managers.bundle.load_full();
    let count = keys.len();
    let said = ask_all(managers, &ManagerRequest::KeyReports(keys)).await;
    let genuine = |(index, said)| {
        heard(index, said, |answer| match answer {
            ManagerAnswer::KeyReports(reports) if reports.len() == count => {
                Some(reports.into_iter().map(|report| checked(&bundle, index, report)).collect())
            }
            _ => None,
        })
    };
    said.into_iter().map(genuine).collect()
}

fn checked(bundle: &PinnedBundle, index: ManagerIndex, report: KeyReport) -> KeyReport {
    let genuine = |signed: &Signed| {
        let Some(entry) = bundle.bundle().manager(index) else { return false };
        let mut keys = entry.former_keys.iter().chain([&entry.key]);
        keys.any(|key| {
            DestroyReceipt::open(signed, key)
                .is_ok_and(|receipt| receipt.key == report.key && receipt.manager == index)
        })
    };
    let receipt = report.receipt.as_ref().filter(|signed| genuine(signed)).cloned();
    KeyReport { receipt, ..report }
}

type Said = (ManagerIndex, Result<ManagerAnswer, Fault>);

async fn ask_all(managers: &Arc<Managers>, request: &ManagerRequest) -> Vec<Said> {
    let mut running = JoinSet::new();
    for index in managers.indexes() {
        let (managers, request) = (managers.clone(), request.clone());
        running.spawn(async move {
            let answer = managers.ask(index, &request).await;
            (index, answer.map_err(|failure| failure.fault(index)))
        });
    }
    // A panic is logged by the runtime; that manager said nothing.
    let mut said: Vec<Said> = running.join_all().await;
    said.sort_by_key(|(index, _)| *index);
    said
}

fn heard<T>(
    index: ManagerIndex,
    said: Result<ManagerAnswer, Fault>,
    read: impl FnOnce(ManagerAnswer) -> Option<T>,
) -> ManagerSaid<T> {
    let odd = || Fault::unavailable(format!("fragment manager {index} gave an odd answer"));
    let said = said.and_then(|answer| read(answer).ok_or_else(odd));
    ManagerSaid { manager: index.get(), said }
}

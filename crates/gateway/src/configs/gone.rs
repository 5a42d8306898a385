//! The job that forgets what is kept for auth methods that are gone: they may have been deleted
//! through another gateway.

use std::sync::Weak;
use std::time::Duration;

use keysherd_api::Configs;
use keysherd_base::Uid;
use keysherd_plane::{Caller, PlaneHandle};

/// How often that is looked for, beside after each deletion through this gateway.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// How long it waits when control did not answer.
const RETRY: Duration = Duration::from_secs(60);

/// Looks at the start and from time to time, until the gateway is gone.
pub async fn forget_gone_methods(configs: Weak<dyn Configs>, plane: PlaneHandle) {
    loop {
        let Some(configs) = configs.upgrade() else { return };
        let caller = Caller::of_the_server(Uid::default());
        let rest = match keysherd_api::forget_gone(&plane, &caller, &*configs).await {
            Ok(forgotten) => {
                for id in forgotten {
                    tracing::info!(access_id = id.as_str(), "forgot what was kept for a method");
                }
                INTERVAL
            }
            Err(fault) => {
                tracing::info!(?fault, "whether methods are gone is not known now");
                RETRY
            }
        };
        let mut news = configs.news();
        drop(configs);
        // What else is in force may be about methods that are gone. When nobody can change it any
        // more, the next turn ends.
        let _news = tokio::time::timeout(rest, news.changed()).await;
    }
}

//! What clients of a gateway are shown, as far as its settings and its directory tell: for the
//! doctor, who asks no running gateway and changes nothing.

use keysherd_api::CertificateWish;
use keysherd_base::Timestamp;
use keysherd_crypto::pki::certificate_validity;
use keysherd_http::{TlsReload, TlsVersions};

use super::{InForce, Pair, Source, described, read_pair, remembered};
use crate::config::cluster::ClusterSettings;
use crate::config::tls::TlsSettings;
use crate::roles::files::DataDir;
use crate::roles::tls::{LEAF_FILE, LocalAuthority};

/// A certificate that clients are shown.
pub(crate) struct Shown {
    /// Where it comes from.
    pub(crate) from: &'static str,
    /// From when until when it is good.
    pub(crate) life: (Timestamp, Timestamp),
    /// What to do when it is over.
    pub(crate) fix: &'static str,
}

impl Shown {
    fn of(source: Source, life: (Timestamp, Timestamp)) -> Self {
        let (from, fix) = match source {
            Source::Files => ("--tls-cert", "exchange the files of --tls-cert and --tls-key"),
            Source::Cluster => ("the cluster", "set another one with gateway-update-tls-cert"),
            Source::Acme => (
                "the ACME authority",
                "a running gateway renews it; look at its log, and at the way from the authority",
            ),
            Source::Own => ("itself", "a running gateway renews its own; look at its log"),
        };
        Self { from, life, fix }
    }

    /// What clients are shown by a gateway with these settings, in this cluster, whose pairs are in
    /// `dir`: the first source that has one, as when the gateway starts. `None`: before the first
    /// start there is none.
    ///
    /// # Errors
    /// Why the files of the operator cannot be served with.
    pub(crate) fn look(
        settings: &TlsSettings,
        cluster: Option<&ClusterSettings>,
        dir: Option<DataDir>,
    ) -> Result<Option<Self>, String> {
        if let Some(files) = &settings.files {
            let Pair { chain, key } = read_pair(files)?;
            let found = InForce::of(Source::Files, &chain)?;
            let (chain, key) = (chain.as_bytes(), key.expose().as_bytes());
            TlsReload::from_pem(chain, key, TlsVersions::V13).map_err(|fault| described(&fault))?;
            return Ok(Some(Self::of(Source::Files, (found.not_before, found.not_after))));
        }
        let Some(dir) = dir else { return Ok(None) };
        let read = |source, chain: &str| {
            let found = InForce::of(source, chain).ok()?;
            Some(Self::of(source, (found.not_before, found.not_after)))
        };
        let set = cluster.and_then(|of| {
            let wish = remembered::read(&dir, (&of.access_id, &of.name))?;
            read(Source::Cluster, &CertificateWish::from_json(&wish).ok()?.chain?)
        });
        let own = || {
            let leaf = dir.read(LEAF_FILE).ok()??;
            let life = certificate_validity(std::str::from_utf8(&leaf).ok()?)?;
            Some(Self::of(Source::Own, life))
        };
        let (dir, has_acme) = (dir.clone(), settings.acme.is_some());
        let obtained = || {
            let pair = LocalAuthority::new(dir, Vec::new(), has_acme).obtained()?;
            read(Source::Acme, &pair.chain)
        };
        Ok(set.or_else(obtained).or_else(own))
    }
}

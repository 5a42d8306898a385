//! `keysherd gateway setup`: makes an account through the links of a gateway.

use std::sync::Arc;

use keysherd_api::{NoCertificate, PublicCertificate};
use keysherd_base::SecretString;
use keysherd_gateway::CustomerFragments;
use keysherd_plane::setup::SetupToken;

use super::gateway::Joining;
use crate::config::gateway::SetupSettings;
use crate::exit::Exit;
use crate::roles::bootstrap::{self, Setup};
use crate::roles::files::DataDir;
use crate::roles::process::{given_file, hand_out, write_stderr, write_stdout};
use crate::roles::tls;

/// Longest token file.
const TOKEN_BYTES_MAX: u64 = 1_024;

/// Makes an account, and writes its credentials.
pub(crate) async fn run(settings: SetupSettings) -> Result<(), Exit> {
    let token = token(&settings)?;
    let dir = DataDir::open(&settings.gateway.data_dir)?;
    let out = DataDir::open(&settings.out_dir)?;
    let mut joining = Joining::new(&dir, &settings.gateway)?;
    let bundle = joining.wait_for_bundle().await?;
    let fragments = Arc::new(CustomerFragments::new(None));
    let nothing = (None, Arc::new(NoCertificate) as Arc<dyn PublicCertificate>);
    let mut joined = joining.join(bundle, fragments, Default::default(), nothing)?;
    joined.wait_for_managers().await?;
    bootstrap::finish(&joined.role.services, &out).await?;
    bootstrap::require_room(&out)?;
    let setup = Setup {
        role: &joined.role,
        token,
        owner_email: settings.owner_email.as_deref(),
        url: settings.url.unwrap_or_else(|| tls::url(settings.gateway.serving.listen)),
        ca_file: dir.join("tls").join(tls::CA_FILE).display().to_string(),
    };
    let made = bootstrap::create_account(setup, &out).await?;
    let file = out.join(bootstrap::BOOTSTRAP);
    let told = format!("account {} created; see {}\n", made.account_id, file.display());
    if !settings.print {
        write_stdout(&told);
        return Ok(());
    }
    // Nobody may be able to remove files where they cannot be read. So they stay only while
    // nobody else has what is in them.
    hand_out(bootstrap::shown(&made, &out)?.expose()).map_err(|error| {
        Exit::Files(format!("standard output did not take the credentials ({error}); {told}"))
    })?;
    bootstrap::remove(&out)?;
    write_stderr(&format!("account {} created\n", made.account_id));
    Ok(())
}

fn token(settings: &SetupSettings) -> Result<SetupToken, Exit> {
    let file = &settings.token_file;
    let unreadable =
        |why: String| Exit::Configuration(format!("--setup-token-file {}: {why}", file.display()));
    let bytes = given_file(file, TOKEN_BYTES_MAX).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("not text".to_owned()))?;
    let text = SecretString::new(text);
    Ok(SetupToken(text.expose().trim().into()))
}

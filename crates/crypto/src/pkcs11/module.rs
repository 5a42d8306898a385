//! The vendor's module: loaded once for each process, and its tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Raw, RvError};
use cryptoki::slot::Slot;

use super::{TokenError, TokenName};

/// Modules are started once for each process and never stopped: stopping one would take it from
/// whoever else uses it.
static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// The module in `path`, started.
pub(super) fn load(path: &Path) -> Result<Pkcs11, TokenError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(path) {
        return Ok(module.clone());
    }
    // The loader of a static program starts a second C library, if it finds one at all.
    if cfg!(target_feature = "crt-static") {
        let why = "this build of keysherd is static and loads no modules; use the dynamic one";
        return Err(TokenError::Module { path: path.to_owned(), why: why.to_owned() });
    }
    let failed = |error: Raw| TokenError::module(path, &error);
    let module = Pkcs11::new(path).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // The same file by another path.
        Ok(()) | Err(Raw::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    loaded.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// The one token with this name, and its label.
pub(super) fn find_token(
    module: &Pkcs11,
    wanted: &TokenName,
) -> Result<(Slot, String), TokenError> {
    let failed = |error: Raw| TokenError::operation("listing tokens", &error);
    let mut found = Vec::new();
    let mut present = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(failed)? {
        let info = module.get_token_info(slot).map_err(failed)?;
        let matches = match wanted {
            TokenName::Label(label) => info.label() == label,
            TokenName::Serial(serial) => info.serial_number() == serial,
        };
        if matches {
            found.push((slot, info.label().to_owned()));
        }
        present.push(format!("'{}' (serial {})", info.label(), info.serial_number()));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(TokenError::SeveralTokens { wanted: wanted.to_string() }),
        _ => Err(TokenError::NoToken { wanted: wanted.to_string(), present }),
    }
}

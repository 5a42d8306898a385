//! How messages are printed that hold something nobody may read in a log: by hand, and all here.
//!
//! A message with a new secret in it gets a text here and a canary in the tests.

use std::fmt::{Debug, Formatter, Result};

use crate::admission::LoginAdmit;
use crate::auth::{Login, LoginProof, LoginReply, NewPassword, Present};
use crate::auth_methods::MethodUpdate;
use crate::browser::{BrowserDepart, BrowserDepartReply};
use crate::caller::Caller;
use crate::second_factor::{
    FactorConfirm, FactorConfirmReply, FactorEnrollReply, FactorRemove, OwnerSeal, OwnerTransfer,
};
use crate::setup::SetupToken;
use crate::uid::{UidAcknowledge, UidNamed, UidTokenReply};

#[cfg(test)]
mod tests;

const HIDDEN: &str = "[secret]";

impl Debug for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Caller")
            .field("token", &self.token.as_ref().map(|_| HIDDEN))
            .field("client", &self.client)
            .field("command", &self.command)
            .field("request", &self.request)
            .field("received", &self.received)
            .finish()
    }
}

impl Debug for LoginProof {
    // Good for a login of whoever shows it first.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("LoginProof").field("signed_at", &self.signed_at).finish_non_exhaustive()
    }
}

impl Debug for Login {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Login")
            .field("subject", &self.subject)
            .field("proof", &self.proof)
            .field("otp", &self.otp.as_ref().map(|_| HIDDEN))
            .finish()
    }
}

impl Debug for LoginAdmit {
    // Somebody may have typed the password where the name belongs.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("LoginAdmit")
            .field("access_id", &self.access_id)
            .field("person", &self.person.as_ref().map(|_| HIDDEN))
            .finish_non_exhaustive()
    }
}

impl Debug for Present {
    // Evidence may be good for another login until it ends.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Present")
            .field("access_id", &self.access_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Debug for LoginReply {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("LoginReply")
            .field("token", &HIDDEN)
            .field("expires", &self.expires)
            .field("access_id", &self.access_id)
            .finish()
    }
}

impl Debug for NewPassword {
    // Passwords can be guessed at by a verifier.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

impl Debug for MethodUpdate {
    // Settings hold the secrets of members, such as that of an OpenID Connect client.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("MethodUpdate")
            .field("path", &self.path)
            .field("new_path", &self.new_path)
            .field("shared", &self.shared)
            .field("kind", &self.kind)
            .field("settings", &self.settings.as_ref().map(|_| HIDDEN))
            .field("demand_second_factor", &self.demand_second_factor)
            .finish()
    }
}

impl Debug for BrowserDepart {
    // Whoever knows state and nonce can answer in the provider's place or take a trip over.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("BrowserDepart")
            .field("access_id", &self.access_id)
            .field("kind", &self.kind)
            .field("callback", &self.callback)
            .finish_non_exhaustive()
    }
}

impl Debug for BrowserDepartReply {
    // State and nonce are in the address.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("BrowserDepartReply").finish_non_exhaustive()
    }
}

impl Debug for FactorEnrollReply {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FactorEnrollReply").finish_non_exhaustive()
    }
}

impl Debug for FactorConfirm {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FactorConfirm").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Debug for FactorConfirmReply {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "FactorConfirmReply({} codes)", self.recovery_codes.len())
    }
}

impl Debug for FactorRemove {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FactorRemove").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Debug for OwnerTransfer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OwnerTransfer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Debug for OwnerSeal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OwnerSeal").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

impl Debug for SetupToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "SetupToken({HIDDEN})")
    }
}

impl Debug for UidAcknowledge {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("UidAcknowledge").finish_non_exhaustive()
    }
}

impl Debug for UidNamed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Id(id) => write!(f, "Id({id})"),
            Self::Value(_) => write!(f, "Value({HIDDEN})"),
        }
    }
}

impl Debug for UidTokenReply {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("UidTokenReply").finish_non_exhaustive()
    }
}

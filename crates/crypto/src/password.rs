//! From a password to an Ed25519 seed, with Argon2id (RFC 9106).
//!
//! The client derives a signing key from its password and a salt; the server keeps only the public
//! key, so a stolen database holds nothing to log in with. It can still be searched for weak
//! passwords, at the price the parameters set. Parameters come from the server, so the client
//! enforces a lower bound (a server may not make guessing cheap) and an upper one (nor exhaust the
//! client's memory).

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use keysherd_base::{Secret, SecretString};
use zeroize::Zeroize;

#[cfg(test)]
mod tests;

/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Least and most memory, in KiB: the least is the current recommendation for one lane and two
/// passes, the most is 256 MiB.
pub const MEMORY_KIB: std::ops::RangeInclusive<u32> = 19_456..=262_144;
/// Fewest and most passes.
pub const ITERATIONS: std::ops::RangeInclusive<u32> = 2..=16;
/// Fewest and most lanes.
pub const PARALLELISM: std::ops::RangeInclusive<u32> = 1..=8;

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordParams {
    /// Memory in KiB, within [`MEMORY_KIB`].
    pub memory_kib: u32,
    /// Passes over the memory, within [`ITERATIONS`].
    pub iterations: u32,
    /// Lanes, within [`PARALLELISM`].
    pub parallelism: u32,
}

impl Default for PasswordParams {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl PasswordParams {
    /// Reads the form that `Display` writes, such as `m=19456,t=2,p=1`; `None` for all else and
    /// for values out of bounds.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut field = |name: &str| {
            let digits = fields.next()?.strip_prefix(name)?;
            let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse::<u32>().ok().filter(|_| canonical)
        };
        let params =
            Self { memory_kib: field("m=")?, iterations: field("t=")?, parallelism: field("p=")? };
        (fields.next().is_none() && params.within_bounds()).then_some(params)
    }

    /// Whether every value is within its bounds.
    pub fn within_bounds(&self) -> bool {
        MEMORY_KIB.contains(&self.memory_kib)
            && ITERATIONS.contains(&self.iterations)
            && PARALLELISM.contains(&self.parallelism)
    }
}

impl fmt::Display for PasswordParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={},p={}", self.memory_kib, self.iterations, self.parallelism)
    }
}

/// Why no seed came of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeriveFailed {
    /// A parameter is out of bounds.
    Params,
    /// The password is empty or longer than [`PASSWORD_BYTES_MAX`].
    Password,
    /// The memory could not be had.
    Memory,
}

impl fmt::Display for DeriveFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Params => f.write_str("the password parameters are out of bounds"),
            Self::Password => {
                write!(f, "the password must have 1 to {PASSWORD_BYTES_MAX} bytes")
            }
            Self::Memory => f.write_str("not enough memory to derive a key from the password"),
        }
    }
}

impl std::error::Error for DeriveFailed {}

/// The Ed25519 seed of `password`: Argon2id version 0x13, 32 bytes. Takes tens of milliseconds and
/// `params.memory_kib` of memory, by intention; call it off the event loop.
///
/// # Errors
/// [`DeriveFailed`].
pub fn derive_seed(
    password: &SecretString,
    salt: &[u8; 16],
    params: PasswordParams,
) -> Result<Secret<[u8; 32]>, DeriveFailed> {
    let password = password.expose().as_bytes();
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(DeriveFailed::Password);
    }
    if !params.within_bounds() {
        return Err(DeriveFailed::Params);
    }
    let PasswordParams { memory_kib, iterations, parallelism } = params;
    let params = Params::new(memory_kib, iterations, parallelism, Some(32))
        .map_err(|_| DeriveFailed::Params)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| DeriveFailed::Memory)?;
    memory.resize(params.block_count(), Block::new());
    let mut seed = Secret::new([0; 32]);
    let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, seed.expose_mut(), &mut memory);
    // The blocks give the seed away; the library leaves them as they are.
    memory.iter_mut().for_each(Zeroize::zeroize);
    derived.map_err(|_| DeriveFailed::Params)?;
    Ok(seed)
}

//! SHA-256 digests and hexadecimal digits.

use sha2::{Digest, Sha256};

/// The SHA-256 of `parts`, each followed by a zero byte.
pub(super) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// The first `bytes` of a digest in hexadecimal digits, upper case.
pub(super) fn hex(digest: &[u8; 32], bytes: usize) -> String {
    digest.iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
}

pub(super) fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

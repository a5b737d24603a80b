//! Names of things: networks, accounts, posts, purchases.

use std::fmt;

/// A social network's short name (`twitter`), at most 15 bytes of `[a-z0-9_-]`, kept inline so that account ids are
/// copies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    bytes: [u8; 15],
    len: u8,
}

/// `network:user_id`: the immutable numeric id of a user, never the handle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    pub network: Network,
    pub user: u64,
}

/// A post's id on its network. Ids exceed 2^53, so they are strings in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostId(pub u64);

/// A UUID as 16 bytes; every id that the program makes is a UUIDv5 of what caused it, so that a replay makes the same
/// ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Identifies one purchase for ever: the UUIDv5 of (account, first id of the ordering post, offer id).
pub type PurchaseId = Uuid;

impl Network {
    pub const TWITTER: Network = Network { bytes: *b"twitter\0\0\0\0\0\0\0\0", len: 7 };

    /// `None` if the name is empty, longer than 15 bytes, or holds anything but `[a-z0-9_-]`.
    pub fn new(name: &str) -> Option<Network> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > 15 || !name.bytes().all(legal) {
            return None;
        }
        let mut bytes = [0; 15];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Network { bytes, len: name.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or("")
    }
}

impl AccountId {
    /// Reads `network:user_id`; the id is decimal without sign or leading zeros, so that one account has one spelling.
    pub fn parse(text: &str) -> Option<AccountId> {
        let (network, user) = text.split_once(':')?;
        Some(AccountId { network: Network::new(network)?, user: parse_id(user)? })
    }
}

/// Reads a decimal id: digits only, no leading zero, within 64 bits.
pub fn parse_id(text: &str) -> Option<u64> {
    let canonical =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.network, self.user)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The hyphenated lower-case form of RFC 9562.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // In one piece: outputs hold several each, and a write per byte showed in profiles.
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in self.0.iter().enumerate() {
            at += usize::from(matches!(i, 4 | 6 | 8 | 10));
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_spelling() {
        let id = AccountId::parse("twitter:1450001015437457789").map(|a| a.to_string());
        assert_eq!(id.as_deref(), Some("twitter:1450001015437457789"));
        assert_eq!(Network::new("twitter"), Some(Network::TWITTER));
        for bad in [
            "twitter:",
            "twitter:01",
            "twitter:+1",
            "twitter:a",
            ":1",
            "Twitter:1",
            "twitter:99999999999999999999",
            "x",
        ] {
            assert_eq!(AccountId::parse(bad), None, "{bad}");
        }
    }
}

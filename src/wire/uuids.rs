//! Ids that the program makes: UUIDs of version 5, names hashed, so that a replay makes the same ids.

use crate::domain::Uuid;

/// The namespace of all names, `43ca0e2e-1f02-573b-b311-025be2fb5d27`: the UUIDv5 of the name `pay-by-tweet` in RFC
/// 9562's URL namespace. The name is no URL because the project has no web host; it only has to be nobody else's.
pub const NAMESPACE: Uuid = Uuid(NAMESPACE_BYTES);

const NAMESPACE_BYTES: [u8; 16] =
    [0x43, 0xca, 0x0e, 0x2e, 0x1f, 0x02, 0x57, 0x3b, 0xb3, 0x11, 0x02, 0x5b, 0xe2, 0xfb, 0x5d, 0x27];

/// The UUIDv5 of a name in [`NAMESPACE`].
pub fn uuid_of(name: &str) -> Uuid {
    Uuid(uuid::Uuid::new_v5(&uuid::Uuid::from_bytes(NAMESPACE_BYTES), name.as_bytes()).into_bytes())
}

/// Reads a UUID in its hyphenated form, in either case.
pub fn parse(text: &str) -> Option<Uuid> {
    const HYPHENATED_BYTES: usize = 36;
    let parsed = if text.len() == HYPHENATED_BYTES { uuid::Uuid::try_parse(text).ok() } else { None };
    parsed.map(|uuid| Uuid(uuid.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_derived_from_the_projects_name() {
        let derived = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, b"pay-by-tweet");
        assert_eq!(NAMESPACE_BYTES, derived.into_bytes(), "{:#x?}", derived.into_bytes());
    }

    #[test]
    fn ids_are_of_version_5_and_read_back() {
        let id = uuid_of("twitter:1|2|x");
        assert_eq!(id.to_string().as_bytes()[14], b'5');
        assert_eq!(parse(&id.to_string()), Some(id));
        assert_eq!(parse(&id.to_string().to_uppercase()), Some(id));
        assert_ne!(uuid_of("a"), uuid_of("b"));
        for bad in ["", "not-a-uuid", "{67e55044-10b1-426f-9247-bb680e5fe0c8}", "67e5504410b1426f9247bb680e5fe0c8"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

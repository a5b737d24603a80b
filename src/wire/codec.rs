//! The compact binary form of what stays inside: inbox records and changelogs.
//!
//! Integers are LEB128 varints (signed ones zigzag), text and lists carry their length first, options and enums a
//! one-byte tag. A type lists its fields once, with `record!` or `choice!`, and both directions follow from that
//! listing; a field that is missing from it does not compile. Decoding is total: any bytes give a value or a
//! [`CodecError`], and no length that the input only claims is allocated.

/// Writes a value; [`Decode`] reads back exactly what this wrote.
pub trait Encode {
    fn encode(&self, out: &mut Vec<u8>);
}

/// Reads a value from the front of `input` and moves `input` past it.
///
/// Every type must take at least one byte, since that is what bounds the length of lists.
pub trait Decode: Sized {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError>;
}

/// Why bytes are not what they should be. Carries no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("the bytes end within a value")]
    Truncated,
    #[error("a number exceeds its type")]
    Overflow,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("{0} bytes stand behind the value")]
    Trailing(usize),
    #[error("{name} has no variant {tag}")]
    UnknownTag { name: &'static str, tag: u8 },
    #[error("the record is of version {found}, this program reads version {known}")]
    Version { found: u8, known: u8 },
    #[error("not a valid {0}")]
    Invalid(&'static str),
}

/// A record: one byte of version, then the value.
pub fn to_bytes<T: Encode + ?Sized>(version: u8, value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(version);
    value.encode(&mut out);
    out
}

/// Reads what [`to_bytes`] wrote under the same version; bytes left over are an error.
pub fn from_bytes<T: Decode>(version: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let mut input = bytes;
    let found = u8::decode(&mut input)?;
    if found != version {
        return Err(CodecError::Version { found, known: version });
    }
    let value = T::decode(&mut input)?;
    if input.is_empty() { Ok(value) } else { Err(CodecError::Trailing(input.len())) }
}

/// Defines both directions for a struct: `record!(Money { minor, currency })`, `record!(PostId(id))`.
///
/// The listing is the format: a new field goes to the end together with a new version of every record that holds it.
macro_rules! record {
    ($type:ident ( $($field:ident),+ $(,)? )) => {
        impl $crate::wire::codec::Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                let Self($($field),+) = self;
                $( $crate::wire::codec::Encode::encode($field, out); )+
            }
        }

        impl $crate::wire::codec::Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self, $crate::wire::codec::CodecError> {
                $( let $field = $crate::wire::codec::Decode::decode(input)?; )+
                Ok(Self($($field),+))
            }
        }
    };
    ($type:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::wire::codec::Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $( $crate::wire::codec::Encode::encode($field, out); )+
            }
        }

        impl $crate::wire::codec::Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self, $crate::wire::codec::CodecError> {
                $( let $field = $crate::wire::codec::Decode::decode(input)?; )+
                Ok(Self { $($field),+ })
            }
        }
    };
}

/// Defines both directions for an enum: `choice!(Shape { 0 => Point, 1 => Circle(radius), 2 => Box { width } })`.
///
/// The numbers are the format, so variants may be reordered; a number that is used twice does not compile.
macro_rules! choice {
    ($type:ident {
        $( $tag:literal => $variant:ident $( ( $($item:ident),+ ) )? $( { $($field:ident),+ } )? ),+ $(,)?
    }) => {
        impl $crate::wire::codec::Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$variant $( ( $($item),+ ) )? $( { $($field),+ } )? => {
                        out.push($tag);
                        $( $( $crate::wire::codec::Encode::encode($item, out); )+ )?
                        $( $( $crate::wire::codec::Encode::encode($field, out); )+ )?
                    } )+
                }
            }
        }

        impl $crate::wire::codec::Decode for $type {
            #[deny(unreachable_patterns)]
            fn decode(input: &mut &[u8]) -> Result<Self, $crate::wire::codec::CodecError> {
                let tag: u8 = $crate::wire::codec::Decode::decode(input)?;
                match tag {
                    $( $tag => {
                        $( $( let $item = $crate::wire::codec::Decode::decode(input)?; )+ )?
                        $( $( let $field = $crate::wire::codec::Decode::decode(input)?; )+ )?
                        Ok(Self::$variant $( ( $($item),+ ) )? $( { $($field),+ } )?)
                    } )+
                    _ => Err($crate::wire::codec::CodecError::UnknownTag { name: stringify!($type), tag }),
                }
            }
        }
    };
}

pub(crate) use {choice, record};

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::sync::Arc;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Pair {
        left: u32,
        right: Option<String>,
    }
    record!(Pair { left, right });

    #[derive(Debug, PartialEq)]
    enum Shape {
        Point,
        Circle(i64),
        Box { width: u64, name: Pair },
    }
    choice!(Shape { 7 => Point, 1 => Circle(radius), 2 => Box { width, name } });

    /// A value comes back, and every shorter prefix is an error, not a value and not a panic.
    fn check<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: T) {
        let bytes = to_bytes(1, &value);
        assert_eq!(from_bytes::<T>(1, &bytes).as_ref(), Ok(&value));
        for cut in 0..bytes.len() {
            assert!(from_bytes::<T>(1, &bytes[..cut]).is_err(), "{value:?} cut at {cut}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(from_bytes::<T>(1, &longer), Err(CodecError::Trailing(1)));
        assert_eq!(from_bytes::<T>(2, &bytes), Err(CodecError::Version { found: 1, known: 2 }));
    }

    #[test]
    fn values_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            check(number);
        }
        for number in [0, -1, 1, 63, 64, -64, -65, i64::MIN, i64::MAX] {
            check(number);
        }
        check((true, String::from("ß"), [1u8, 2, 3]));
        check(Shape::Point);
        check(Shape::Circle(-5));
        check(Shape::Box { width: 9, name: Pair { left: 1, right: Some("x".into()) } });
        check(BTreeMap::from([(1u64, vec![1u32]), (2, vec![])]));
        check(BTreeSet::from([3u8, 5]));
        check(VecDeque::from([Ok::<u8, String>(1), Err("no".into())]));
        check((Arc::new(4u32), Box::new(5u32), Arc::<str>::from("s"), 7usize));
    }

    #[test]
    fn nonsense_is_refused_without_allocating_what_it_claims() {
        let huge = to_bytes(1, &u64::MAX);
        assert_eq!(from_bytes::<Vec<[u8; 16]>>(1, &huge), Err(CodecError::Truncated));
        assert_eq!(from_bytes::<String>(1, &huge), Err(CodecError::Truncated));
        assert_eq!(from_bytes::<u32>(1, &huge), Err(CodecError::Overflow));
        assert_eq!(from_bytes::<u64>(1, &[1; 12]), Err(CodecError::Trailing(10)));
        assert_eq!(from_bytes::<u64>(1, &[&[1u8][..], &[0xff; 10]].concat()), Err(CodecError::Overflow));
        assert_eq!(from_bytes::<Shape>(1, &[1, 0]), Err(CodecError::UnknownTag { name: "Shape", tag: 0 }));
        assert_eq!(from_bytes::<bool>(1, &[1, 2]), Err(CodecError::UnknownTag { name: "bool", tag: 2 }));
        assert_eq!(from_bytes::<String>(1, &[1, 1, 0xff]), Err(CodecError::NotUtf8));
        assert!(from_bytes::<BTreeSet<u8>>(1, &[1, 2, 5, 5]).is_err());
    }
}

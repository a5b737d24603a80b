//! The binary form of what the standard library brings: numbers, text, options, lists, maps, pointers, tuples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::codec::{CodecError, Decode, Encode};

/// Elements for which a decoded list reserves room at once, at most; longer ones grow as their elements really come.
const LIST_RESERVE_ELEMENTS_MAX: usize = 64;

/// Bytes of the longest varint that a 64-bit number needs.
const VARINT_BYTES_MAX: u32 = 10;

impl Encode for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl Decode for u8 {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let (first, rest) = input.split_first().ok_or(CodecError::Truncated)?;
        *input = rest;
        Ok(*first)
    }
}

impl Encode for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}

impl Decode for u64 {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let mut value = 0u64;
        for index in 0..VARINT_BYTES_MAX {
            let byte = u8::decode(input)?;
            let bits = u64::from(byte & 0x7f);
            if index == VARINT_BYTES_MAX - 1 && bits > 1 {
                return Err(CodecError::Overflow);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError::Overflow)
    }
}

impl Encode for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (((self << 1) ^ (self >> 63)) as u64).encode(out);
    }
}

impl Decode for i64 {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let zigzag = u64::decode(input)?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

/// Narrower integers travel as the 64-bit ones and are refused when they exceed their type.
macro_rules! narrow {
    ($($type:ty as $wide:ty),+) => { $(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                (*self as $wide).encode(out);
            }
        }

        impl Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                <$type>::try_from(<$wide>::decode(input)?).map_err(|_| CodecError::Overflow)
            }
        }
    )+ };
}

narrow!(u16 as u64, u32 as u64, usize as u64, i32 as i64);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(CodecError::UnknownTag { name: "bool", tag }),
        }
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        self.len().encode(out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Decode for String {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        text(input).map(str::to_owned)
    }
}

impl Decode for Arc<str> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        text(input).map(Arc::from)
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let (head, rest) = input.split_first_chunk::<N>().ok_or(CodecError::Truncated)?;
        *input = rest;
        Ok(*head)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(if bool::decode(input)? { Some(T::decode(input)?) } else { None })
    }
}

impl<T: Encode, E: Encode> Encode for Result<T, E> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Ok(value) => {
                out.push(0);
                value.encode(out);
            }
            Err(error) => {
                out.push(1);
                error.encode(out);
            }
        }
    }
}

impl<T: Decode, E: Decode> Decode for Result<T, E> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(if bool::decode(input)? { Err(E::decode(input)?) } else { Ok(T::decode(input)?) })
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self.len(), self.iter(), out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let count = count(input)?;
        let mut list = Vec::with_capacity(count.min(LIST_RESERVE_ELEMENTS_MAX));
        for _ in 0..count {
            list.push(T::decode(input)?);
        }
        Ok(list)
    }
}

impl<T: Encode> Encode for VecDeque<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self.len(), self.iter(), out);
    }
}

impl<T: Decode> Decode for VecDeque<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Vec::decode(input).map(VecDeque::from)
    }
}

impl<K: Encode, V: Encode> Encode for BTreeMap<K, V> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self.len(), self.iter(), out);
    }
}

impl<K: Decode + Ord, V: Decode> Decode for BTreeMap<K, V> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let mut map = BTreeMap::new();
        for _ in 0..count(input)? {
            let (key, value) = <(K, V)>::decode(input)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(CodecError::Invalid("map: its keys are not in order"));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl<T: Encode> Encode for BTreeSet<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self.len(), self.iter(), out);
    }
}

impl<T: Decode + Ord> Decode for BTreeSet<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let mut set = BTreeSet::new();
        for _ in 0..count(input)? {
            let item = T::decode(input)?;
            if set.last().is_some_and(|last| *last >= item) {
                return Err(CodecError::Invalid("set: its items are not in order"));
            }
            set.insert(item);
        }
        Ok(set)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Encode + ?Sized> Encode for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Arc<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        T::decode(input).map(Arc::new)
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        T::decode(input).map(Box::new)
    }
}

macro_rules! tuple {
    ($($name:ident)+) => {
        #[allow(non_snake_case)]
        impl<$($name: Encode),+> Encode for ($($name,)+) {
            fn encode(&self, out: &mut Vec<u8>) {
                let ($($name,)+) = self;
                $( $name.encode(out); )+
            }
        }

        impl<$($name: Decode),+> Decode for ($($name,)+) {
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(($($name::decode(input)?,)+))
            }
        }
    };
}

tuple!(A B);
tuple!(A B C);
tuple!(A B C D);

fn encode_all<T: Encode>(count: usize, items: impl Iterator<Item = T>, out: &mut Vec<u8>) {
    count.encode(out);
    items.for_each(|item| item.encode(out));
}

/// A length that the rest of the input can hold, at one byte an element.
fn count(input: &mut &[u8]) -> Result<usize, CodecError> {
    let count = usize::decode(input)?;
    if count <= input.len() { Ok(count) } else { Err(CodecError::Truncated) }
}

fn text<'a>(input: &mut &'a [u8]) -> Result<&'a str, CodecError> {
    let length = count(input)?;
    let (head, rest) = input.split_at(length);
    *input = rest;
    std::str::from_utf8(head).map_err(|_| CodecError::NotUtf8)
}

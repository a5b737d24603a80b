//! How records lie in the store: many of them framed in one value, so that the tree above stays small.
//!
//! A batch is `version u8, time i64, count u32, span u64` (little endian), then the records. A record is `length u32`
//! of what follows, then as LEB128 numbers: offset less the batch's base, time less the batch's time (zigzag), key
//! length plus one (0: no key), key, value length plus one, value, number of headers, and length and bytes of each
//! header's name and value.

use crate::bus::OutRecord;

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 21;

/// A batch holds at most so many bytes, unless one record alone is larger. The store keeps a value in pages of powers
/// of two: 256 KiB less what the page needs for itself fills one.
pub const BATCH_BYTES_MAX: usize = 256 * 1024 - 256;

const VERSION: u8 = 1;

/// The bytes are not a batch: the store is damaged or of another version.
#[derive(Debug, thiserror::Error)]
#[error("damaged batch: {0}")]
pub struct FrameError(pub &'static str);

/// A batch in the making.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
    span: u64,
}

impl Batch {
    pub fn new() -> Batch {
        Batch { bytes: vec![0; HEADER_BYTES], count: 0, span: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// One past the last record's offset, less the base.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Whether `more` bytes still fit.
    pub fn has_room(&self, more: usize) -> bool {
        self.is_empty() || self.bytes.len() + more <= BATCH_BYTES_MAX
    }

    /// Appends a record at the next offset, with the batch's own time.
    pub fn push(&mut self, record: &OutRecord) {
        let start = self.open_record(self.span, 0);
        put_optional(&mut self.bytes, record.key.as_deref());
        put_optional(&mut self.bytes, record.value.as_deref());
        put_number(&mut self.bytes, record.headers.len() as u64);
        for (name, value) in &record.headers {
            put_bytes(&mut self.bytes, name.as_bytes());
            put_bytes(&mut self.bytes, value.as_bytes());
        }
        self.close_record(start, self.span);
    }

    /// Copies a record at an offset `delta` above the base and a time `time_delta` ms from the batch's.
    pub fn push_raw(&mut self, delta: u64, time_delta: i64, record: &RawRecord<'_>) {
        let start = self.open_record(delta, time_delta);
        self.bytes.extend_from_slice(record.rest);
        self.close_record(start, delta);
    }

    /// The framed bytes, with the time in milliseconds that the batch was appended at.
    pub fn framed(&mut self, time: i64) -> &[u8] {
        self.bytes[0] = VERSION;
        self.bytes[1..9].copy_from_slice(&time.to_le_bytes());
        self.bytes[9..13].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[13..21].copy_from_slice(&self.span.to_le_bytes());
        &self.bytes
    }

    fn open_record(&mut self, delta: u64, time_delta: i64) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        put_number(&mut self.bytes, delta);
        put_number(&mut self.bytes, ((time_delta << 1) ^ (time_delta >> 63)) as u64);
        start
    }

    fn close_record(&mut self, start: usize, delta: u64) {
        let length = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        self.span = delta + 1;
    }
}

/// An upper bound of the bytes that a record takes in a batch.
pub fn framed_len(record: &OutRecord) -> usize {
    const NUMBERS: usize = 4 + 10 + 10 + 5 + 5 + 5;
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    NUMBERS + record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len) + headers
}

/// A batch as it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Append time in milliseconds since the epoch.
    pub time: i64,
    pub count: u32,
    /// One past the last record's offset, less the base.
    pub span: u64,
    base: u64,
    records: &'a [u8],
}

/// A record as it was stored; headers stay undecoded.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    pub offset: u64,
    pub time: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn parse(base: u64, bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        let (header, records) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(FrameError("short header"))?;
        if header[0] != VERSION {
            return Err(FrameError("unknown version"));
        }
        let (time, rest) = header[1..].split_first_chunk::<8>().ok_or(FrameError("short header"))?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(FrameError("short header"))?;
        let (span, _) = rest.split_first_chunk::<8>().ok_or(FrameError("short header"))?;
        Ok(Frame {
            time: i64::from_le_bytes(*time),
            count: u32::from_le_bytes(*count),
            span: u64::from_le_bytes(*span),
            base,
            records,
        })
    }

    /// Bytes of what is left of it.
    pub fn len(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// One past the last record's offset.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.span)
    }

    /// The next record at `from` or later; `None` at the end. Passes over earlier ones without decoding them.
    pub fn next_from(&mut self, from: u64) -> Result<Option<RawRecord<'a>>, FrameError> {
        loop {
            if self.records.is_empty() {
                return Ok(None);
            }
            let (length, rest) = self.records.split_first_chunk::<4>().ok_or(FrameError("short record"))?;
            let length = u32::from_le_bytes(*length) as usize;
            let (mut body, rest) = rest.split_at_checked(length).ok_or(FrameError("short record"))?;
            self.records = rest;
            let offset = self.base.saturating_add(take_number(&mut body)?);
            if offset >= from {
                return self.decode(offset, body).map(Some);
            }
        }
    }

    fn decode(&self, offset: u64, mut body: &'a [u8]) -> Result<RawRecord<'a>, FrameError> {
        let zigzag = take_number(&mut body)?;
        let rest = body;
        let key = take_optional(&mut body)?;
        let value = take_optional(&mut body)?;
        let time = self.time.saturating_add((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        Ok(RawRecord { offset, time, key, value, headers: body, rest })
    }
}

impl RawRecord<'_> {
    /// Bytes that count towards a budget: key, value and headers.
    pub fn size(&self) -> usize {
        self.rest.len()
    }

    /// Decodes the headers into `into`, whose allocations are used again, and returns how many there are.
    pub fn headers(&self, into: &mut Vec<(String, Vec<u8>)>) -> Result<usize, FrameError> {
        let mut rest = self.headers;
        let count = take_number(&mut rest)?;
        if count > rest.len() as u64 {
            return Err(FrameError("more headers than bytes"));
        }
        let count = count as usize;
        if into.len() < count {
            into.resize_with(count, Default::default);
        }
        for (name, value) in &mut into[..count] {
            let text = std::str::from_utf8(take_bytes(&mut rest)?).map_err(|_| FrameError("header name"))?;
            name.clear();
            name.push_str(text);
            value.clear();
            value.extend_from_slice(take_bytes(&mut rest)?);
        }
        Ok(count)
    }
}

fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_optional(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_number(into, 0),
        Some(bytes) => {
            put_number(into, bytes.len() as u64 + 1);
            into.extend_from_slice(bytes);
        }
    }
}

fn take_number(from: &mut &[u8]) -> Result<u64, FrameError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first().ok_or(FrameError("short number"))?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(FrameError("long number"))
}

fn take<'a>(from: &mut &'a [u8], length: u64) -> Result<&'a [u8], FrameError> {
    let length = usize::try_from(length).map_err(|_| FrameError("long field"))?;
    let (bytes, rest) = from.split_at_checked(length).ok_or(FrameError("short field"))?;
    *from = rest;
    Ok(bytes)
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], FrameError> {
    let length = take_number(from)?;
    take(from, length)
}

fn take_optional<'a>(from: &mut &'a [u8]) -> Result<Option<&'a [u8]>, FrameError> {
    match take_number(from)? {
        0 => Ok(None),
        length => take(from, length - 1).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn record(key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Vec<String>) -> OutRecord {
        let headers = headers.into_iter().map(|h| ("ce_id", h)).collect();
        OutRecord { topic: Arc::from("t"), partition: None, key, value, headers }
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_back(
            records in prop::collection::vec(
                (any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>(), prop::collection::vec(".*", 0..3)), 1..8),
            from in 0u64..8, time in -5i64..i64::MAX / 2, moved in any::<i32>(),
        ) {
            let records: Vec<_> = records.into_iter().map(|(k, v, h)| record(k, v, h)).collect();
            let mut batch = Batch::new();
            for r in &records {
                let before = batch.len();
                batch.push(r);
                prop_assert!(batch.len() - before <= framed_len(r));
            }
            let bytes = batch.framed(time).to_vec();
            let mut frame = Frame::parse(1000, &bytes).unwrap();
            prop_assert_eq!((frame.count as usize, frame.end()), (records.len(), 1000 + records.len() as u64));
            let (mut copy, mut scratch, mut at) = (Batch::new(), Vec::new(), from);
            while let Some(raw) = frame.next_from(1000 + from).unwrap() {
                let sent = &records[at as usize];
                prop_assert_eq!((raw.offset, raw.time), (1000 + at, time));
                prop_assert_eq!((raw.key, raw.value), (sent.key.as_deref(), sent.value.as_deref()));
                let headers = raw.headers(&mut scratch).unwrap();
                prop_assert!(sent.headers.iter().zip(&scratch).all(|(a, b)| a.0 == b.0 && a.1.as_bytes() == b.1));
                prop_assert_eq!(headers, sent.headers.len());
                copy.push_raw(raw.offset - 1000, i64::from(moved), &raw);
                at += 1;
            }
            prop_assert_eq!(at, (records.len() as u64).max(from));
            let bytes = copy.framed(time).to_vec();
            let mut again = Frame::parse(1000, &bytes).unwrap();
            while let Some(raw) = again.next_from(0).unwrap() {
                let sent = &records[(raw.offset - 1000) as usize];
                prop_assert_eq!((raw.key, raw.value), (sent.key.as_deref(), sent.value.as_deref()));
                prop_assert_eq!(raw.time, time + i64::from(moved));
            }
        }

        #[test]
        fn garbage_is_an_error_never_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let mut scratch = Vec::new();
            if let Ok(mut frame) = Frame::parse(7, &bytes) {
                while let Ok(Some(raw)) = frame.next_from(0) {
                    let _ = raw.headers(&mut scratch);
                }
            }
        }
    }
}

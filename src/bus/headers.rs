//! Headers of a record, as the bus lends them.

use std::borrow::Cow;
use std::fmt::Debug;

/// A record's headers, names and values in order. Few readers want them, so a bus for which that is work decodes them
/// only when they are read.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Decoded(&'a [(String, Vec<u8>)]),
    Encoded(&'a dyn EncodedHeaders),
}

/// Headers that are not decoded yet.
pub trait EncodedHeaders: Debug {
    fn decode(&self) -> Vec<(String, Vec<u8>)>;
}

impl<'a> Headers<'a> {
    pub fn decoded(headers: &'a [(String, Vec<u8>)]) -> Headers<'a> {
        Headers(Source::Decoded(headers))
    }

    pub fn encoded(headers: &'a dyn EncodedHeaders) -> Headers<'a> {
        Headers(Source::Encoded(headers))
    }

    pub fn read(self) -> Cow<'a, [(String, Vec<u8>)]> {
        match self.0 {
            Source::Decoded(headers) => Cow::Borrowed(headers),
            Source::Encoded(headers) => Cow::Owned(headers.decode()),
        }
    }
}

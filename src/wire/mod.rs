//! Everything that crosses the edge as bytes: JSON in and out, the binary form of internal records, texts, schemas.
//!
//! Domain types are not serialisable; each file here converts one family of them. Nothing here reads a clock or fails
//! on any input: bad input is an [`inputs::BadInput`] or a [`codec::CodecError`].

pub mod codec;
mod codec_std;
pub mod dead_letters;
mod domain_codec;
pub mod funnel;
pub mod inputs;
mod inputs_json;
pub mod internal;
pub mod orders;
pub mod outputs;
pub mod payments;
pub mod purchases;
pub mod replies;
pub mod schema;
pub mod template;
pub mod texts;
pub mod time;
pub mod uuids;
pub mod values;

pub use dead_letters::{DeadLetter, dead_letter};
pub use outputs::{record_of, record_of_offer_event};
pub use texts::Texts;
pub use uuids::uuid_of;

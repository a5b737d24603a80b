//! The format of `accounts.changelog`: key = account (or `watermark`), value = everything that it remembers.

use crate::domain::account::{Account, CancelScope, ConfirmForm, Extras, KeptCancel, KeptConfirm, Refused};
use crate::wire::codec::{CodecError, choice, from_bytes, record, to_bytes};

/// The changelog's topic.
pub const CHANGELOG: &str = "accounts.changelog";

/// Grows with every change of the layout below.
const VERSION: u8 = 5;

pub fn encode_account(account: &Account) -> Vec<u8> {
    to_bytes(VERSION, account)
}

pub fn decode_account(bytes: &[u8]) -> Result<Account, CodecError> {
    from_bytes(VERSION, bytes)
}

record!(Account { links, purchases, extras });
record!(Extras {
    refused,
    told_not_linked,
    told_nothing_to_confirm,
    confirms,
    cancels,
    deletions,
    asking,
    queue,
    past_handle,
    courtesy
});
record!(Refused { first_id, offer, buy, at });
record!(KeptConfirm { id, first_id, time, tags, how, told });
choice!(ConfirmForm { 0 => Words, 1 => Echo(echo, reason), 2 => Never(reason) });
record!(KeptCancel { id, time, scope });
choice!(CancelScope { 0 => Tags(tags), 1 => All });

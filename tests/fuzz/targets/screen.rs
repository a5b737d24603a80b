//! One record of a post topic, with one of 256 catalogues.

use std::sync::OnceLock;

use pay_by_tweet::domain::{AccountMessage, InboxRecord, Network};
use pay_by_tweet::screen::intent::Screened;
use pay_by_tweet::screen::{Catalogue, Verdict, post_time, screen, screen_parsing_everything};
use pay_by_tweet::wire::internal::{account_key, decode_inbox, encode_inbox};

use super::{Target, choose, chosen};

#[path = "../../tweets/generator.rs"]
pub mod generator;

pub const SCREEN: Target = Target { name: "screen", check, seeds, words: include_str!("../words/screen") };

const RECORD_BYTES_MAX: usize = 1 << 20;
/// Details of dead letters are our parser's words and places, never the record's.
const DETAIL_BYTES_MAX: usize = 200;

fn check(data: &[u8]) {
    let Some((choice, record)) = choose(data) else { return };
    let catalogue = catalogue(choice);
    let full = screen_parsing_everything(record, Network::TWITTER, catalogue, RECORD_BYTES_MAX);
    let searched = screen(record, Network::TWITTER, catalogue, RECORD_BYTES_MAX);
    if full.matters() || searched != Verdict::Passed {
        assert_eq!(searched, full, "the byte search against the parser");
    }
    match &full {
        Verdict::Post(screened) => {
            let quick = post_time(record, Network::TWITTER);
            assert_eq!(quick, Some(screened.time), "the quick reading of the time");
            check_post(screened, catalogue);
        }
        Verdict::Dead(letter) => assert!(letter.detail.len() <= DETAIL_BYTES_MAX, "{letter:?}"),
        _ => {}
    }
}

fn check_post(screened: &Screened, catalogue: &Catalogue) {
    assert!(screened.mentions.is_sorted_by(|a, b| a.offer < b.offer), "each offer is mentioned once");
    let Some(intent) = &screened.intent else { return };
    assert!(!screened.own_service, "the service asks itself for nothing");
    assert!(intent.orders.is_sorted_by(|a, b| a.offer < b.offer), "each offer is ordered once");
    assert!(intent.confirm_tags.iter().all(|tag| catalogue.is_confirm(tag)));
    assert!(intent.cancel_tags.iter().all(|tag| catalogue.is_cancel(tag)));
    let record = InboxRecord::To(screened.account, AccountMessage::Post(intent.clone()));
    let key = account_key(screened.account);
    assert_eq!(decode_inbox(Some(&key), &encode_inbox(&record)), Ok(record), "the intent reaches its account");
}

/// The catalogues of the generator's first cases, each made once.
fn catalogue(choice: u8) -> &'static Catalogue {
    static CATALOGUES: [OnceLock<Catalogue>; 256] = [const { OnceLock::new() }; 256];
    CATALOGUES[usize::from(choice)].get_or_init(|| generator::case(u64::from(choice)).0)
}

fn seeds() -> Vec<Vec<u8>> {
    (0..=u8::MAX).map(|choice| chosen(choice, generator::case(u64::from(choice)).1)).collect()
}

//! Tags must be told apart: by the program, and by people.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

use crate::text::{fold, is_valid_hashtag};

use super::offer_spec::OfferSpec;
use crate::domain::{Offer, OfferKind, Terms};

/// Characters of a tag at most, without `#`.
pub const TAG_CHARS_MAX: usize = 100;

/// An offer's index and the field of its tag; `None` is the service with its freeze tag.
pub type Holder = Option<(usize, &'static str)>;

/// Two tags that can't both be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagClash {
    /// Index of the offer whose tag came second, and the field that holds it.
    pub offer: usize,
    pub field: &'static str,
    /// As published.
    pub tag: String,
    /// What held the first.
    pub other: Holder,
    pub other_tag: String,
    /// The same to the program; else they only look alike.
    pub same: bool,
}

/// Every tag that is the same as one of an earlier offer after NFKC and case folding, or looks like it (UTS 39
/// skeleton), while both offers are open; the service's freeze tag is always taken. Withdrawn offers hold no tag.
pub fn tag_clashes(specs: &[OfferSpec], freeze_tag: &str) -> Vec<TagClash> {
    let mut seen: HashMap<String, Vec<(Holder, String)>> = HashMap::new();
    let mut clashes = Vec::new();
    for look in looks(freeze_tag) {
        seen.entry(look).or_default().push((None, freeze_tag.to_owned()));
    }
    for (offer, spec) in specs.iter().enumerate().filter(|(_, spec)| !spec.withdrawn) {
        for (field, tag) in spec.tags() {
            let meets = |(holder, _): &&(Holder, String)| {
                holder.is_none_or(|(other, _)| other == offer || are_open_together(spec, &specs[other]))
            };
            let taken = looks(tag).iter().find_map(|look| seen.get(look)?.iter().find(meets).cloned());
            if let Some((other, other_tag)) = taken {
                let same = compared(tag) == compared(&other_tag);
                clashes.push(TagClash { offer, field, tag: tag.to_owned(), other, other_tag, same });
                continue;
            }
            for look in looks(tag) {
                seen.entry(look).or_default().push((Some((offer, field)), tag.to_owned()));
            }
        }
    }
    clashes
}

/// The tag by which a new offer can't stand beside another while both are open, and why; for the `offers` topic, whose
/// offers come one by one.
pub fn clash_with<'a>(
    new: &Offer,
    others: impl Iterator<Item = &'a Offer>,
    freeze_tag: &str,
    looks: &TagLooks,
) -> Option<String> {
    let tags = |terms: &Terms| {
        let confirm = (terms.kind == OfferKind::Purchase).then(|| terms.confirm_tag.clone());
        [Some(terms.buy_tag.clone()), confirm, terms.cancel_tag.clone()].into_iter().flatten().collect::<Vec<_>>()
    };
    let together = |a: &Terms, b: &Terms| {
        let ends_before = |a: &Terms, b: &Terms| a.closes.zip(b.opens).is_some_and(|(closes, opens)| closes < opens);
        !ends_before(a, b) && !ends_before(b, a)
    };
    let rivals = others
        .filter(|other| other.terms.offer != new.terms.offer && !other.withdrawn && together(&other.terms, &new.terms))
        .flat_map(|other| tags(&other.terms).into_iter().map(|tag| (tag, other.terms.offer.clone())));
    let mut taken: Vec<(String, String)> =
        std::iter::once((freeze_tag.to_owned(), "the service".to_owned())).chain(rivals).collect();
    tags(&new.terms).into_iter().find_map(|tag| {
        let own = looks.of(&tag);
        let looks_taken = |other: &str| looks.of(other).iter().any(|look| own.contains(look));
        let clash = taken.iter().find(|(other, _)| looks_taken(other));
        let clash =
            clash.map(|(other, holder)| format!("the tag \"{tag}\" is, or looks like, \"{other}\" of {holder}"));
        taken.push((tag, "the same offer".to_owned()));
        clash
    })
}

/// Whether there is a moment at which both offers are open. A time that can't be read is open on its side: its own
/// error is told elsewhere.
fn are_open_together(a: &OfferSpec, b: &OfferSpec) -> bool {
    let time = |text: &Option<String>| text.as_deref().and_then(|text| crate::wire::time::parse(text).ok());
    let ends_before = |a: &OfferSpec, b: &OfferSpec| match (time(&a.closes), time(&b.opens)) {
        (Some(closes), Some(opens)) => closes < opens,
        _ => false,
    };
    !ends_before(a, b) && !ends_before(b, a)
}

/// Whether a tag, without its `#`, can be tweeted as one whole hashtag; the error says why not.
pub fn legal_tag(tag: &str) -> Result<(), String> {
    if tag.starts_with(['#', '＃']) {
        return Err(format!("\"{tag}\" is written with its '#'"));
    }
    if tag.chars().count() > TAG_CHARS_MAX {
        return Err(format!("\"{tag}\" is longer than {TAG_CHARS_MAX} characters"));
    }
    if !is_valid_hashtag(&format!("#{tag}")) {
        return Err(format!("\"{tag}\" is not one whole hashtag of letters, digits and '_', with at least one letter"));
    }
    Ok(())
}

/// What tags look like, remembered: it costs much, and every offer is compared with all others.
#[derive(Debug, Default)]
pub struct TagLooks(Mutex<HashMap<String, Arc<[String; 3]>>>);

/// Tags of which it is remembered, at most.
const LOOKS_MAX: usize = 100_000;

impl TagLooks {
    fn of(&self, tag: &str) -> Arc<[String; 3]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looks) = known.get(tag) {
            return Arc::clone(looks);
        }
        if known.len() >= LOOKS_MAX {
            known.clear();
        }
        Arc::clone(known.entry(tag.to_owned()).or_insert_with(|| Arc::new(looks(tag))))
    }
}

/// What the program compares.
fn compared(tag: &str) -> String {
    fold(&fold(&tag.nfkc().collect::<String>()).nfkc().collect::<String>())
}

/// What people see, in whichever case they read it: `0` looks like `O`, which is an `o` to the program.
fn looks(tag: &str) -> [String; 3] {
    let folded = compared(tag);
    let seen = |text: &str| compared(&skeleton(text).collect::<String>());
    [seen(tag), seen(&folded), folded]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clash(first: &str, second: &str) -> Option<bool> {
        let spec = |tag: &str| OfferSpec { buy_tag: Some(tag.to_owned()), ..OfferSpec::default() };
        tag_clashes(&[spec(first), spec(second)], "FreezeMyCard").first().map(|clash| clash.same)
    }

    #[test]
    fn tags_must_be_told_apart() {
        for (first, second) in
            [("BuyX", "buyx"), ("BuyX", "ＢｕｙＸ"), ("BuyK", "Buy\u{212a}"), ("Other", "freezemycard")]
        {
            assert_eq!(clash(first, second), Some(true), "{first} {second}");
        }
        for (first, second) in [
            ("BuyKindle", "BuyKindIe"),
            ("BuyXbox360", "BuyXbox36O"),
            ("Buy", "Вuy"),
            ("BuyModern", "BuyModem"),
            ("buyo", "BUY0"),
        ] {
            assert_eq!(clash(first, second), Some(false), "{first} {second}");
        }
        assert_eq!(clash("BuyXbox", "BuyXbox360"), None);
    }

    #[test]
    fn a_tag_is_one_whole_hashtag() {
        for bad in ["", "#Buy", "Buy X", "123", "Buy-X", "Buy!", "_"] {
            assert!(legal_tag(bad).is_err(), "{bad}");
        }
        assert_eq!(legal_tag("BuyAmexGiftCard25"), Ok(()));
        assert_eq!(legal_tag("Köp_1"), Ok(()));
    }
}

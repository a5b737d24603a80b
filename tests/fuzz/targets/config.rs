//! What people write: the configuration, the offers file, texts of replies.

use std::path::Path;
use std::sync::OnceLock;

use pay_by_tweet::config::{ConfigErrors, Place, SHIPPED_CONFIG, SHIPPED_OFFERS, Settings, offers_of_text};
use pay_by_tweet::domain::{Span, Terms, Uuid};
use pay_by_tweet::wire::template::{Template, Values};
use pay_by_tweet::wire::{Texts, uuid_of};

use super::{Target, choose, chosen};

pub const CONFIG: Target = Target { name: "config", check, seeds, words: include_str!("../words/config") };

const FILE: &str = "some.toml";
const VARIABLE: &str = "PAY_BY_TWEET__ACCOUNT__CONFIRM_WINDOW";

fn check(data: &[u8]) {
    let Some((choice, text)) = choose(data) else { return };
    let text = &String::from_utf8_lossy(text);
    match choice % 4 {
        0 => check_settings(text),
        1 => match offers_of_text(FILE, text, defaults()) {
            Ok(offers) => offers.into_iter().for_each(|spec| drop(spec.into_offer(1).expect("it was checked"))),
            Err(errors) => check_errors(&errors, text),
        },
        2 => check_template(text),
        _ => {
            let variable = (VARIABLE.to_owned(), text.to_string());
            if let Err(errors) = Settings::of_text(None, [variable].into_iter()) {
                let named = |place: &Place| *place == Place::Variable(VARIABLE.to_owned());
                assert!(errors.0.iter().all(|error| named(&error.place)), "{errors}");
            }
        }
    }
}

fn check_settings(text: &str) {
    match Settings::of_text(Some((Path::new(FILE), text)), std::iter::empty()) {
        Ok(settings) => {
            settings.texts();
            settings.rules(uuid_of);
        }
        Err(errors) => check_errors(&errors, text),
    }
}

/// Every mistake names the file and a line of it, and says what is wrong and how to mend it, in one line.
fn check_errors(errors: &ConfigErrors, text: &str) {
    assert!(!errors.0.is_empty(), "refused without a word");
    let lines = text.split('\n').count();
    for error in &errors.0 {
        match &error.place {
            Place::File { path, line: Some(line) } => assert!(**path == *FILE && (1..=lines).contains(line), "{error}"),
            place => panic!("{place:?}: {error}"),
        }
        assert!(!error.what.is_empty() && !error.hint.is_empty(), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

fn check_template(text: &str) {
    let terms = terms();
    if let Ok(template) = Template::parse(text) {
        let purchase = Some(Uuid([7; 16]));
        let values = Values { handle: Some("someone"), terms: Some(terms), item: &terms.item, minutes: 15, purchase };
        for kept in 0..=template.optional_parts() {
            template.fill(&values, kept);
        }
        template.fill_essentials(&values);
        template.clone().addressed().fill(&Values { handle: None, terms: None, ..values }, 0);
    }
    let texts = [("prompt".to_owned(), text.to_owned())].into();
    if let Ok(texts) = Texts::new(&texts, &texts, Span::of_mins(15))
        && texts.check_offer(terms).is_ok()
    {
        texts.render_announcement(Uuid([9; 16]), terms);
    }
}

fn defaults() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings::of_text(None, std::iter::empty()).expect("the shipped file is good"))
}

fn terms() -> &'static Terms {
    static TERMS: OnceLock<Terms> = OnceLock::new();
    TERMS.get_or_init(|| {
        let mut offers = offers_of_text("shipped", SHIPPED_OFFERS, defaults()).expect("the shipped file is good");
        offers.remove(0).into_offer(1).expect("the shipped file is good").terms
    })
}

/// The shipped files, whole and by section, and texts in several forms.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![chosen(0, SHIPPED_CONFIG), chosen(1, SHIPPED_OFFERS), chosen(3, "15m"), chosen(3, "1 day")];
    // What is commented out in the shipped file is part of it, too.
    let bare = |section: &str| section.replace("\n# ", "\n");
    seeds.extend(SHIPPED_CONFIG.split("\n[").map(|section| chosen(0, bare(&format!("[{section}")))));
    seeds.extend(SHIPPED_OFFERS.split("[[offers]]").map(|offer| chosen(1, format!("[[offers]]{offer}"))));
    let texts = [
        "@{handle} Tweet #{confirm_tag} to buy {item}.[[ Terms: {terms_url}]]",
        "{amount}[[ Exp {closes}]] {purchase}",
    ];
    seeds.extend(texts.map(|text| chosen(2, text)));
    seeds
}

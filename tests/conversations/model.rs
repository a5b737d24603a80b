//! The audit's model of a conversation: a second reading of the rules, which must find nothing to say against any
//! outcome.

use pay_by_tweet::audit::conversation::Conversations;
use pay_by_tweet::audit::{Found, Rules, Violation};
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::{OfferMessage, OffersRecord};
use pay_by_tweet::pipeline::Record;
use pay_by_tweet::wire::internal::{decode_inbox, decode_offers};
use serde_json::Value;

use crate::outcome::{OUTPUTS, Outcome};

/// What a run wrote: the inboxes of accounts and offers, and the output topics.
pub struct Run {
    pub inbox: Vec<Record>,
    pub offers: Vec<Record>,
    pub outcome: Outcome,
}

/// What the model says against a run that came to rest.
pub fn violations(settings: &Settings, run: &Run) -> Vec<Violation> {
    let mut model = Conversations::new(Rules::of(settings));
    for record in &run.inbox {
        let value = record.value.as_deref().expect("an inbox record has a value");
        let read = decode_inbox(record.key.as_deref(), value).expect("an inbox record can be read");
        model.inbox(record.partition, record.offset, &read);
    }
    for record in &run.offers {
        let value = record.value.as_deref().expect("an inbox record has a value");
        if let OffersRecord::To(offer, OfferMessage::Stock(request)) =
            decode_offers(value).expect("an inbox record can be read")
        {
            model.stock_request(&request, &offer);
        }
    }
    for topic in OUTPUTS {
        run.outcome.values(topic).for_each(|value: &Value| model.output(topic, 0, value, None));
    }
    let mut missing = Found::default();
    model.at_rest(&|_, _| false, &mut missing);
    let mut violations = model.take_violations();
    violations.extend(missing.take());
    violations
}

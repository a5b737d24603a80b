//! What is for sale under load: offers of the load's own, so that no stock of the catalogue's is sold.

use std::sync::Arc;

use crate::bus::OutRecord;
use crate::posts::json::{Json, Style, object};

/// An offer of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goods {
    pub id: &'static str,
    pub buy_tag: &'static str,
    pub confirm_tag: &'static str,
    /// Units for sale; `None` asks nobody for stock.
    pub quantity: Option<u64>,
}

/// Everything but the last is there for all who come, half of it without stock to ask for. The last one runs out: who
/// gets a unit is a race.
pub const GOODS: [Goods; 5] = [
    Goods { id: "load-mug", buy_tag: "BuyLoadMug", confirm_tag: "ConfirmLoadMug", quantity: None },
    Goods { id: "load-lamp", buy_tag: "BuyLoadLamp", confirm_tag: "ConfirmLoadLamp", quantity: None },
    Goods { id: "load-kettle", buy_tag: "BuyLoadKettle", confirm_tag: "ConfirmLoadKettle", quantity: Some(MANY) },
    Goods { id: "load-chair", buy_tag: "BuyLoadChair", confirm_tag: "ConfirmLoadChair", quantity: Some(MANY) },
    Goods { id: "load-vase", buy_tag: "BuyLoadVase", confirm_tag: "ConfirmLoadVase", quantity: Some(FEW) },
];

/// The place of the scarce offer.
pub const SCARCE: usize = GOODS.len() - 1;

const MANY: u64 = 1_000_000_000;
const FEW: u64 = 100;

/// The records of `offers`.
pub fn records() -> impl Iterator<Item = OutRecord> {
    GOODS.iter().map(|goods| OutRecord {
        topic: Arc::from("offers"),
        partition: None,
        key: Some(goods.id.as_bytes().to_vec()),
        value: Some(spec(goods).render(Style::default()).into_bytes()),
        headers: Vec::new(),
    })
}

/// All tags.
pub fn tags() -> Vec<String> {
    GOODS.iter().flat_map(|goods| [goods.buy_tag.to_owned(), goods.confirm_tag.to_owned()]).collect()
}

fn spec(goods: &Goods) -> Json {
    let mut spec = object([
        ("id", goods.id.into()),
        ("kind", "purchase".into()),
        ("buy_tag", goods.buy_tag.into()),
        ("confirm_tag", goods.confirm_tag.into()),
        ("merchant", "load".into()),
        ("item", goods.id.into()),
        ("price", "10.00".into()),
        ("currency", "USD".into()),
        ("per_account", 1.into()),
        ("countries", vec!["US".into()].into()),
    ]);
    spec.extend(goods.quantity.map(|quantity| ("quantity", quantity.into())));
    spec
}

//! What must come out of a load: one line a conversation, known as soon as it is opened.

use std::io::Write;

use super::behaviour::{Behaviour, End};
use super::goods::GOODS;
use crate::domain::{AccountId, Network, Span};
use crate::posts::json::{Json, Style, object};

/// Everything that a load's people did, in the order in which they opened their conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    pub lines: Vec<Line>,
    /// By which it came: what [`super::Options`] say.
    pub confirm_window: Span,
    pub reply_grace: Span,
}

/// What must come of one post that opens, or tries to open, a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub behaviour: Behaviour,
    pub user: u64,
    /// Place in [`GOODS`].
    pub offer: usize,
    /// First id of the post.
    pub order_post: u64,
    pub end: End,
    /// The post that must pay, where it is the only one that can.
    pub confirm_post: Option<u64>,
}

impl Truth {
    /// Writes JSON lines, the last of which tells how many there are, so that a torn file is noticed, and the windows:
    /// nobody must judge the log by others.
    pub fn write(&self, network: Network, out: &mut dyn Write) -> std::io::Result<()> {
        for line in &self.lines {
            writeln!(out, "{}", line.json(network).render(Style::default()))?;
        }
        let ms = |span: Span| Json::from(span.0.unsigned_abs());
        let end = object([
            ("conversations", (self.lines.len() as u64).into()),
            ("confirm_window_ms", ms(self.confirm_window)),
            ("reply_grace_ms", ms(self.reply_grace)),
        ]);
        let end = object([("end", end)]);
        writeln!(out, "{}", end.render(Style::default()))
    }
}

impl Line {
    fn json(&self, network: Network) -> Json {
        let to: Vec<Json> = self.end.to.iter().map(|state| state.name().into()).collect();
        object([
            ("account", AccountId { network, user: self.user }.to_string().into()),
            ("offer", GOODS[self.offer].id.into()),
            ("order_post", self.order_post.to_string().into()),
            ("to", to.into()),
            ("reason", self.end.reason.map(|reason| reason.name().to_owned()).into()),
            ("confirm_post", self.confirm_post.map(|id| id.to_string()).into()),
        ])
    }
}

//! What an audit judges by.

use crate::config::Settings;
use crate::domain::{Limits, Windows};
use crate::wire::uuids::uuid_of;

/// The settings on which verdicts depend, besides the log.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub windows: Windows,
    pub limits: Limits,
    /// Whether a confirm that concerns nothing is answered.
    pub tells_nothing_to_confirm: bool,
}

impl Rules {
    pub fn of(settings: &Settings) -> Rules {
        let rules = settings.rules(uuid_of);
        Rules { windows: rules.windows, limits: rules.limits, tells_nothing_to_confirm: rules.tell_nothing_to_confirm }
    }
}

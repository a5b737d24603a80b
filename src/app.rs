//! The running program: stages on their threads over one log, by one clock.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;

use crate::accounts::AccountsShard;
use crate::bus::{Bus, BusError, TopicPartition};
use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::directory::Directory;
use crate::engine::health::Health;
use crate::engine::pressure::Pressure;
use crate::engine::runtime::{Failure, Runtime, StopError};
use crate::offers::{OfferView, OffersAnswer, OffersQuery, OffersShard};
use crate::pipeline::{Stages, engine_settings, seed_offers};
use crate::screen::setup::{ScreenSetup, Topology};

/// Which stages this process runs (`--stages`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSet {
    pub screen: bool,
    pub accounts: bool,
    pub offers: bool,
}

pub struct App {
    pub bus: Arc<dyn Bus>,
    pub clock: Arc<dyn Clock>,
    pub accounts: Directory<AccountsShard>,
    pub offers: Directory<OffersShard>,
    pub screen: Arc<ScreenSetup>,
    pub pressure: Pressure,
    runtime: Runtime,
}

impl App {
    /// Seeds the catalogue and starts the threads.
    pub fn start(
        settings: &Settings,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        topology: Topology,
        set: StageSet,
    ) -> anyhow::Result<App> {
        let offers = settings.load_offers()?;
        let stages = Stages::new(settings, &*bus, topology)?;
        let seeded = seed_offers(&*bus, &offers, &stages.screen.setup)?;
        if seeded < offers.len() {
            let known = offers.len() - seeded;
            tracing::info!(known, "the offers topic knows these offers of the file already; the topic's records hold");
        }
        let mut runtime = Runtime::new(bus.clone(), clock.clone(), engine_settings(settings))?;
        let workers = settings.workers;
        let (screen, pressure) = (stages.screen.setup.clone(), stages.screen.pressure.clone());
        if set.screen {
            runtime.spawn(stages.screen, workers.screen)?;
        }
        let accounts =
            if set.accounts { runtime.spawn(stages.accounts, workers.accounts)? } else { Directory::default() };
        let offers = if set.offers { runtime.spawn(stages.offers, workers.offers)? } else { Directory::default() };
        Ok(App { bus, clock, accounts, offers, screen, pressure, runtime })
    }

    pub fn health(&self) -> Health {
        self.runtime.health()
    }

    /// The first worker that failed, if one does within `wait`.
    pub fn failure(&self, wait: Duration) -> Option<Failure> {
        self.runtime.failure(wait)
    }

    /// Whether everything that was appended so far is consumed and committed by all stages.
    pub fn drained(&self) -> Result<bool, BusError> {
        self.runtime.drained()
    }

    /// The stock of all offers, as the shards have it.
    pub fn stock(&self) -> anyhow::Result<Vec<OfferView>> {
        let mut views = Vec::new();
        for at in self.offers.partitions() {
            let OffersAnswer::All(all) = block_on(self.offers.query(&at, OffersQuery::All))?;
            views.extend(all);
        }
        Ok(views)
    }

    /// Whether the screen has consumed a partition up to an offset.
    pub fn screened(&self, at: &TopicPartition, offset: u64) -> Result<bool, BusError> {
        self.runtime.reached("screen", at, offset)
    }

    pub fn stop(self, timeout: Duration) -> Result<(), StopError> {
        self.runtime.stop(timeout)
    }
}

impl StageSet {
    pub const ALL: StageSet = StageSet { screen: true, accounts: true, offers: true };

    /// Reads `screen,accounts,offers` in any order.
    pub fn parse(text: &str) -> Result<StageSet, String> {
        let mut set = StageSet { screen: false, accounts: false, offers: false };
        for name in text.split(',').map(str::trim) {
            match name {
                "screen" => set.screen = true,
                "accounts" => set.accounts = true,
                "offers" => set.offers = true,
                other => return Err(format!("\"{other}\" is no stage; there are screen, accounts, offers")),
            }
        }
        Ok(set)
    }
}

//! What the proofs of the whole program share: firehoses from a seed with a truth of their own, and outputs to compare.
#![allow(dead_code)] // Each proof uses its own part.

pub mod due;
pub mod example;
pub mod firehose;
pub mod outputs;
pub mod pieces;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pay_by_tweet::bus::{Bus, BusError};
use pay_by_tweet::config::{OfferSpec, Settings};
use pay_by_tweet::pipeline::Producer;
use tempfile::TempDir;

/// Records of one transaction of a producer.
const CHUNK_RECORDS: usize = 5_000;
/// A log that is away for longer never comes back.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// A folder with a configuration, its catalogue, and room for a log.
pub struct House {
    pub dir: TempDir,
    pub config: PathBuf,
    pub settings: Settings,
    pub offers: Vec<OfferSpec>,
}

impl House {
    /// `time` and `more` go into the configuration: the keys of `[time]`, and whole sections behind it.
    pub fn new(time: &str, more: &str) -> House {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let text = format!(
            "[service]\nhandle = \"{}\"\nuser_id = \"{}\"\n[offers]\nfile = \"offers.toml\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n[time]\n{time}\n{more}\n",
            firehose::SERVICE,
            firehose::SERVICE_ID,
        );
        let config = dir.path().join("config.toml");
        std::fs::write(&config, text).expect("the folder is writable");
        std::fs::write(dir.path().join("offers.toml"), firehose::offers_toml()).expect("the folder is writable");
        let settings = Settings::load(Some(&config), std::iter::empty()).expect("the configuration is valid");
        let offers = settings.load_offers().expect("the offers are valid");
        House { dir, config, settings, offers }
    }
}

/// Appends records as a gateway would, many to a transaction. It comes again while the log is away, and then may have
/// appended twice.
pub struct Gateway {
    bus: Arc<dyn Bus>,
    producer: Producer,
}

impl Gateway {
    pub fn new(bus: &Arc<dyn Bus>) -> Gateway {
        Gateway { producer: Producer::new(&**bus, "gateway").expect("the log is open"), bus: bus.clone() }
    }

    pub fn append(&mut self, topic: &str, partition: u32, values: impl IntoIterator<Item = Vec<u8>>) {
        let mut values = values.into_iter().peekable();
        while values.peek().is_some() {
            let chunk: Vec<Vec<u8>> = values.by_ref().take(CHUNK_RECORDS).collect();
            self.insist(topic, partition, &chunk);
        }
    }

    fn insist(&mut self, topic: &str, partition: u32, chunk: &[Vec<u8>]) {
        let begun = Instant::now();
        while let Err(why) = self.try_append(topic, partition, chunk) {
            assert!(matches!(why, BusError::Unavailable(_)) && begun.elapsed() < AWAY_MAX, "{topic}: {why}");
            if let Ok(producer) = Producer::new(&*self.bus, "gateway") {
                self.producer = producer;
            }
        }
    }

    fn try_append(&mut self, topic: &str, partition: u32, chunk: &[Vec<u8>]) -> Result<(), BusError> {
        for value in chunk {
            self.producer.send(topic, Some(partition), None, Some(value))?;
        }
        self.producer.commit(&[])
    }
}

/// The value of an environment variable by which a campaign asks for more than the test suite does.
pub fn asked(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => usual,
    }
}

/// Where seeds begin: `SEED`, else 1, so that the test suite tries the same things every time.
pub fn first_seed() -> u64 {
    asked("SEED", 1)
}

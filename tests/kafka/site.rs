//! A configuration and where it runs: on the embedded log in its folder, or on a cluster with topics of its own prefix.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::kafka::Kafka;
use serde_json::Value;

use super::cluster::Cluster;
use super::support::outputs::Outputs;

/// `PROGRAM` names another build: campaigns take the one that ships.
const BUILT: &str = env!("CARGO_BIN_EXE_pay-by-tweet");

/// The variable that sets `bus.kafka.properties."bootstrap.servers"`.
const BOOTSTRAP: &str = "PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__BOOTSTRAP_SERVERS";

/// A configuration, on the cluster or as it is.
pub struct Site<'a> {
    pub config: &'a Path,
    /// (brokers, `topics.prefix`)
    pub kafka: Option<(String, String)>,
    /// More of the environment.
    pub more: Vec<(String, String)>,
}

impl<'a> Site<'a> {
    pub fn folder(config: &'a Path) -> Site<'a> {
        Site { config, kafka: None, more: Vec::new() }
    }

    /// On the cluster, with topics of its own that are made first.
    pub fn on(config: &'a Path, cluster: &Cluster, prefix: &str) -> Site<'a> {
        Site::at(config, cluster.bootstrap(), prefix).with_topics()
    }

    /// On these brokers, with whatever topics are there.
    pub fn at(config: &'a Path, brokers: String, prefix: &str) -> Site<'a> {
        Site { config, kafka: Some((brokers, prefix.to_owned())), more: Vec::new() }
    }

    /// The same, but its processes come by way of the proxies; [`Site::bus`] does not.
    pub fn behind_proxies(&self, cluster: &Cluster) -> Site<'a> {
        let proxied = (BOOTSTRAP.to_owned(), cluster.proxied());
        Site { more: [&self.more[..], &[proxied]].concat(), kafka: self.kafka.clone(), config: self.config }
    }

    pub fn with_topics(self) -> Site<'a> {
        self.succeed(&["topics", "create"]);
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let program = std::env::var("PROGRAM").unwrap_or_else(|_| BUILT.to_owned());
        let mut command = Command::new(program);
        command.args(args).arg("--config").arg(self.config);
        if let Some((brokers, prefix)) = &self.kafka {
            command
                .env("PAY_BY_TWEET__BUS__KIND", "kafka")
                .env(BOOTSTRAP, brokers)
                .env("PAY_BY_TWEET__TOPICS__PREFIX", prefix)
                .env("PAY_BY_TWEET__HTTP__LISTEN", "127.0.0.1:0")
                .envs(self.more.iter().cloned());
        }
        command
    }

    pub fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    pub fn succeed(&self, args: &[&str]) -> Vec<u8> {
        let output = self.call(args);
        let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{told}\n{said}", output.status);
        output.stdout
    }

    pub fn tap(&self, topic: &str) -> Vec<Value> {
        let stdout = self.succeed(&["tap", topic]);
        let lines = stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("tap prints JSON")).collect()
    }

    pub fn outputs(&self) -> Outputs {
        Outputs::of(|topic| self.tap(topic))
    }

    /// A client of its topics.
    pub fn bus(&self) -> Arc<dyn Bus> {
        self.bus_with(&[])
    }

    /// One with more properties.
    pub fn bus_with(&self, more: &[(&str, &str)]) -> Arc<dyn Bus> {
        let (brokers, prefix) = self.kafka.clone().expect("it is on a cluster");
        let more = more.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let properties = more.chain([("bootstrap.servers".to_owned(), brokers)]).collect();
        Arc::new(Kafka::new(properties, &prefix).expect("the properties are good"))
    }
}

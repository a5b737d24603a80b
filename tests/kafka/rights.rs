//! What this program may not do on a cluster: it says so, and does not try for ever.

use super::cluster::Cluster;
use super::runs::run_of;
use super::site::Site;
use super::support::House;

/// A right that is taken away, and the topic.
const DENIED: [(&str, &str); 3] =
    [("Write", "payments.authorized"), ("Write", "accounts.inbox"), ("Read", "accounts.links")];

pub fn rights_that_are_missing_are_told(cluster: &Cluster) {
    let house = House::new("idle_after = \"0s\"\n", "");
    let run = run_of(&house, 1_000);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    for (number, (right, topic)) in DENIED.into_iter().enumerate() {
        let prefix = format!("denied-{number}.");
        let site = Site::on(&house.config, cluster, &prefix);
        let full = format!("{prefix}{topic}");
        cluster.deny(right, &full);
        let told = |args: &[&str], code: i32| {
            let output = site.call(args);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{args:?} without {right} of {full}: {told}");
            assert!(told.contains(topic) && told.contains("authorization failed"), "{args:?}: {told}");
        };
        told(&["check", "--online"], 69);
        told(&run, 1);
    }
}

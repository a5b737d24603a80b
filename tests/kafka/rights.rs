//! What this program may not do on a cluster: it says so, and does not try for ever.

use super::cluster::Cluster;
use super::runs::run_of;
use super::site::Site;
use super::support::House;

/// A right that is taken away, and the topic.
const DENIED: [(&str, &str); 2] = [("Write", "payments.authorized"), ("Read", "accounts.links")];

pub fn rights_that_are_missing_are_told(cluster: &Cluster) {
    let house = House::new("idle_after = \"0s\"\n", "");
    let run = run_of(&house, 1_000);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    let is_told = |site: &Site<'_>, right: &str, named: &str| {
        for (args, code) in [(&["check", "--online"][..], 69), (&run, 1)] {
            let output = site.call(args);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{args:?} without {right} of {named}: {told}");
            let why = told.to_lowercase();
            assert!(told.contains(named) && why.contains("authorization failed"), "{args:?}: {told}");
        }
    };
    for (number, (right, topic)) in DENIED.into_iter().enumerate() {
        let prefix = format!("denied-{number}.");
        let site = Site::on(&house.config, cluster, &prefix);
        cluster.deny(right, &format!("{prefix}{topic}"));
        is_told(&site, right, topic);
    }
    let site = Site::on(&house.config, cluster, "nobody.");
    cluster.deny_identities("nobody.");
    is_told(&site, "Write", "transactional identity");
}

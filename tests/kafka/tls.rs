//! TLS and SASL/SCRAM, by a build that has them (`--features tls`) and by one that has not.

use std::path::Path;

use super::cluster::Cluster;
use super::runs::the_worked_example_at;
use super::secure::{PASSWORD, USER};
use super::site::Site;
use super::support::House;

pub fn tls_where_the_build_has_it(cluster: &Cluster) {
    if cfg!(feature = "tls") { over_tls_with_a_password() } else { told_where_it_is_lacking(cluster) }
}

fn told_where_it_is_lacking(cluster: &Cluster) {
    let house = House::new("idle_after = \"0s\"\n", "");
    let more = vec![("PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__SECURITY_PROTOCOL".to_owned(), "ssl".to_owned())];
    let site = Site { more, ..Site::at(&house.config, cluster.bootstrap(), "") };
    for command in [&["check", "--online"][..], &["run"], &["topics", "create"]] {
        let output = site.call(command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("--features tls"), "{command:?}: {told}");
    }
}

/// The same program over TLS, as a user with a password: the worked example comes out, and a wrong password is
/// told without a word of it.
fn over_tls_with_a_password() {
    let cluster = Cluster::start_secure();
    let secure = cluster.secure();
    let properties = |password: (&'static str, &str), certificate: &Path| {
        let all = [
            ("SECURITY_PROTOCOL", "sasl_ssl".to_owned()),
            ("SSL_CA_LOCATION", certificate.display().to_string()),
            ("SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
            ("SASL_USERNAME", USER.to_owned()),
            (password.0, password.1.to_owned()),
        ];
        all.map(|(name, value)| (format!("PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__{name}"), value)).to_vec()
    };
    let brokers = format!("127.0.0.1:{}", secure.port);
    let good = properties(("SASL_PASSWORD", PASSWORD), &secure.certificate);
    the_worked_example_at(&|config| Site { more: good.clone(), ..Site::at(config, brokers.clone(), "secure.") });
    let house = House::new("idle_after = \"0s\"\n", "");
    let (right, wrong) = (house.dir.path().join("right"), "a wrong password");
    std::fs::write(&right, format!("{PASSWORD}\n")).expect("the folder is ours");
    std::fs::write(house.dir.path().join("wrong"), format!("{wrong}\n")).expect("the folder is ours");
    let right = properties(("SASL_PASSWORD__FILE", &right.display().to_string()), &secure.certificate);
    Site { more: right, ..Site::at(&house.config, brokers.clone(), "secure.") }.succeed(&["check", "--online"]);
    for password in [("SASL_PASSWORD", wrong), ("SASL_PASSWORD__FILE", "wrong")] {
        let more = properties(password, &secure.certificate);
        let output = Site { more, ..Site::at(&house.config, brokers.clone(), "") }.call(&["check", "--online"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{told}");
        assert!(!told.contains(wrong) && told.to_lowercase().contains("authentication"), "{told}");
    }
}

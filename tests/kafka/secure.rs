//! A listener with TLS and SASL/SCRAM.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ports::free_port;

pub const USER: &str = "payer";
pub const PASSWORD: &str = "correct horse battery staple";
const STORE_PASSWORD: &str = "a store needs one";

/// Where and how a broker is spoken to in secret.
pub struct Secure {
    pub port: u16,
    store: PathBuf,
    pub certificate: PathBuf,
}

impl Secure {
    /// Makes a key and a certificate in this folder.
    pub fn new(folder: &Path) -> Secure {
        let secure =
            Secure { port: free_port(), store: folder.join("broker.p12"), certificate: folder.join("broker.pem") };
        secure.keytool(&["-genkeypair", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1"]);
        secure.keytool(&["-exportcert", "-rfc", "-file", &secure.certificate.display().to_string()]);
        secure
    }

    fn keytool(&self, args: &[&str]) {
        let store = ["-alias", "broker", "-storetype", "PKCS12", "-storepass", STORE_PASSWORD, "-keystore"];
        let output = Command::new("keytool").args(args).args(store).arg(&self.store).output().expect("keytool runs");
        assert!(output.status.success(), "keytool: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// What the broker needs to know.
    pub fn config(&self) -> String {
        format!(
            "sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.secure.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.secure.ssl.keystore.type=PKCS12\n\
             listener.name.secure.ssl.keystore.location={}\n\
             listener.name.secure.ssl.keystore.password={STORE_PASSWORD}\n",
            self.store.display()
        )
    }
}

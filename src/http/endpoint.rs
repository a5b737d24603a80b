//! How a command finds the running program that holds the log: a file in the log's folder with the address that was
//! bound and a secret, readable by the folder's owner only.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The file's name in the log's folder.
const FILE: &str = "endpoint.json";

/// A larger file was not written by this program.
const FILE_BYTES_MAX: u64 = 4096;

const SECRET_BYTES: usize = 32;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take to begin; after that it may last as long as it likes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// An error's body is cut off here.
const ERROR_BYTES_MAX: u64 = 4096;

/// Where a running program answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub secret: String,
}

/// The file of a running program; dropping it removes the file. To be dropped while the program still holds the folder,
/// so that it can't be a successor's.
#[derive(Debug)]
pub struct EndpointFile {
    path: PathBuf,
}

/// Why the running program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the running program at {address} does not answer: {why}")]
    Away { address: SocketAddr, why: String },
    /// It answered, and refused; `why` is its own word.
    #[error("the running program answers {status}: {why}")]
    Refused { status: u16, why: String },
}

/// 256 random bits in hexadecimal digits.
pub fn new_secret() -> io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(format!("no random bytes for a secret: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes the file, whole or not at all, with mode 0600. Where the address is "any", commands are sent to loopback.
pub fn write_endpoint(dir: &Path, addr: SocketAddr, secret: &str) -> io::Result<EndpointFile> {
    let endpoint = Endpoint { address: reachable(addr), secret: secret.to_owned() };
    let (path, draft) = (dir.join(FILE), dir.join("endpoint.json.new"));
    // A draft that a killed program left could have any mode.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&serde_json::to_vec(&endpoint)?)?;
    drop(file);
    fs::rename(&draft, &path)?;
    Ok(EndpointFile { path })
}

/// Takes away what a killed program left: whoever answers there now is another.
pub fn forget_endpoint(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The endpoint of the program that holds the folder; `None` where none has written one. A killed program leaves its
/// own behind, until it is started again.
pub fn read_endpoint(dir: &Path) -> io::Result<Option<Endpoint>> {
    let path = dir.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    let endpoint = serde_json::from_slice(&text);
    endpoint
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

/// Asks the running program for a path with its query, e.g. `/v1/tap/replies?max=10`; the answer is read as it comes.
/// A read fails if the answer breaks off.
pub fn client_get(endpoint: &Endpoint, path: &str) -> Result<impl Read + use<>, ClientError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .build()
        .into();
    let request = agent
        .get(format!("http://{}{path}", endpoint.address))
        .header("authorization", format!("Bearer {}", endpoint.secret));
    let away = |error: ureq::Error| ClientError::Away { address: endpoint.address, why: error.to_string() };
    let answer = request.call().map_err(away)?;
    let status = answer.status();
    let body = answer.into_body().into_reader();
    if status.is_success() {
        Ok(body)
    } else {
        Err(ClientError::Refused { status: status.as_u16(), why: why_of(body) })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for EndpointFile {
    fn drop(&mut self) {
        // If it is gone already, all is as it should be; if it can't go, nobody answers there.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// The `error` of the body, or else the body itself.
fn why_of(body: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before a failure still tells something.
    let _ = body.take(ERROR_BYTES_MAX).read_to_end(&mut bytes);
    serde_json::from_slice(&bytes)
        .map_or_else(|_| String::from_utf8_lossy(&bytes).into_owned(), |ErrorBody { error }| error)
}

fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_owners_and_goes_with_its_guard() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(read_endpoint(dir.path()).expect("readable"), None);
        let secret = new_secret().expect("random bytes");
        assert_eq!(secret.len(), 2 * SECRET_BYTES);
        fs::write(dir.path().join("endpoint.json.new"), "left by a killed program").expect("writable");
        let addr = "0.0.0.0:81".parse().expect("an address");
        let file = write_endpoint(dir.path(), addr, &secret).expect("writable");
        let endpoint = read_endpoint(dir.path()).expect("readable").expect("written");
        assert_eq!(endpoint, Endpoint { address: "127.0.0.1:81".parse().expect("an address"), secret });
        assert!(!format!("{endpoint:?}").contains(&endpoint.secret));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(FILE)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(file);
        assert_eq!(read_endpoint(dir.path()).expect("readable"), None);
        fs::write(dir.path().join(FILE), "left by a killed program").expect("writable");
        (0..2).for_each(|_| forget_endpoint(dir.path()).expect("it goes, or is gone"));
        assert_eq!(read_endpoint(dir.path()).expect("readable"), None);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join(FILE), "{").expect("writable");
        let error = read_endpoint(dir.path()).expect_err("no JSON").to_string();
        assert!(error.contains(FILE), "{error}");
    }
}

//! HTTP
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::accounts::AccountsShard;
use crate::bus::Bus;
use crate::engine::clock::Clock;
use crate::engine::directory::Directory;
use crate::engine::health::Health;
use crate::offers::OffersShard;

#[derive(Clone)]
pub struct HttpState {
    pub bus: Arc<dyn Bus>,
    pub accounts: Directory<AccountsShard>,
    pub offers: Directory<OffersShard>,
    pub health: Health,
    pub clock: Arc<dyn Clock>,
    pub accounts_partitions: u32,
    pub token: Option<String>,
    pub secret: String,
    pub open: bool,
    pub metrics: (),
}
pub struct Server(SocketAddr);
pub struct Endpoint;
pub fn serve(listen: SocketAddr, _state: HttpState) -> io::Result<Server> {
    Ok(Server(listen))
}
impl Server {
    pub fn addr(&self) -> SocketAddr {
        self.0
    }
    pub fn stop(&self) {}
}
pub fn write_endpoint(_dir: &Path, _addr: SocketAddr, _secret: &str) -> io::Result<()> {
    Ok(())
}
pub fn remove_endpoint(_dir: &Path) {}
pub fn read_endpoint(_dir: &Path) -> Option<Endpoint> {
    None
}
pub fn client_get(_endpoint: &Endpoint, _path: &str) -> anyhow::Result<Box<dyn io::Read>> {
    anyhow::bail!("")
}
pub fn tap_line(
    partition: u32,
    offset: u64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(String, Vec<u8>)],
) -> String {
    let headers: serde_json::Map<String, serde_json::Value> =
        headers.iter().map(|(k, v)| (k.clone(), String::from_utf8_lossy(v).into())).collect();
    let key = key.map(|k| String::from_utf8_lossy(k).into_owned());
    let value: serde_json::Value = value
        .map_or(serde_json::Value::Null, |v| serde_json::from_slice(v).unwrap_or(format!("{} bytes", v.len()).into()));
    serde_json::json!({"partition": partition, "offset": offset, "key": key, "headers": headers, "value": value})
        .to_string()
}

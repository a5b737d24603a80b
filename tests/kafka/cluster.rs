//! A real cluster for tests: brokers of `tests/kafka/pom.xml` in KRaft mode, each broker and controller at once, on
//! free ports and fresh folders. It is killed when the value is dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pay_by_tweet::bus::kafka::Kafka;
use pay_by_tweet::bus::kafka::admin::{Admin, Wanted};

use super::disk::Disk;
use super::ports::free_port;
use super::proxy::Proxy;
use super::secure::{PASSWORD, Secure, USER};

/// Any id does: the folders are fresh.
const CLUSTER_ID: &str = "cGF5LWJ5LXR3ZWV0LXRlcw";
/// A broker that is not up by then never will be.
const UP_WITHIN: Duration = Duration::from_secs(90);

pub struct Cluster {
    /// The first node's, if it has one of its own. Above the folder that it is mounted in.
    disk: Option<Disk>,
    dir: tempfile::TempDir,
    nodes: Vec<Node>,
}

struct Node {
    id: usize,
    port: u16,
    controller: u16,
    /// What the proxy leads to.
    outer: u16,
    proxy: Proxy,
    /// A listener with TLS and passwords.
    secure: Option<Secure>,
    child: Option<Child>,
}

impl Cluster {
    /// Starts so many nodes and waits until all can be reached.
    pub fn start(count: usize) -> Cluster {
        Cluster::of(count).started()
    }

    /// So many nodes, of which the first has a disk of its own, of this size.
    pub fn start_small(count: usize, mib: u64) -> Cluster {
        let mut cluster = Cluster::of(count);
        cluster.disk = Some(Disk::mount(&cluster.dir.path().join("disk.img"), &cluster.folder(0).join("disk"), mib));
        cluster.started()
    }

    fn of(count: usize) -> Cluster {
        let dir = tempfile::tempdir().expect("a folder for the brokers");
        let nodes = (1..=count).map(|id| {
            let (proxy, outer) = (Proxy::new(), free_port());
            proxy.leads_to(outer);
            Node { id, port: free_port(), controller: free_port(), outer, proxy, secure: None, child: None }
        });
        let nodes = nodes.collect();
        Cluster { disk: None, dir, nodes }
    }

    /// One node that can also be spoken to over TLS, by a user with a password.
    pub fn start_secure() -> Cluster {
        let mut cluster = Cluster::of(1);
        cluster.nodes[0].secure = Some(Secure::new(cluster.dir.path()));
        cluster.started()
    }

    fn started(mut self) -> Cluster {
        for index in 0..self.nodes.len() {
            self.format(index);
            self.launch(index);
        }
        self.await_all();
        self
    }

    /// The secure listener of [`Cluster::start_secure`].
    pub fn secure(&self) -> &Secure {
        self.nodes[0].secure.as_ref().expect("it was started with one")
    }

    /// The disk of [`Cluster::start_small`].
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("it was started with one")
    }

    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect::<Vec<_>>().join(",")
    }

    /// The brokers behind their proxies: whoever asks these is told of these alone.
    pub fn proxied(&self) -> String {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.proxy.port)).collect::<Vec<_>>().join(",")
    }

    pub fn proxy(&self, index: usize) -> &Proxy {
        &self.nodes[index].proxy
    }

    /// `bus.kafka.properties` for this cluster.
    pub fn properties(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("bootstrap.servers".to_owned(), self.bootstrap())])
    }

    /// A client of this cluster for topics of this prefix.
    pub fn kafka(&self, prefix: &str) -> Kafka {
        Kafka::new(self.properties(), prefix).expect("the properties are good")
    }

    /// Makes a topic with its own number of partitions, before `topics create` makes the others.
    pub fn topic(&self, prefix: &str, topic: &str, partitions: u32) {
        let kafka = self.kafka(prefix);
        let settings = [("message.timestamp.type", "LogAppendTime".to_owned())].into();
        let wanted = Wanted { topic: topic.to_owned(), partitions, exact: true, settings };
        let replicas = self.nodes.len().min(3) as i32;
        Admin::new(&kafka).and_then(|admin| admin.create(&[wanted], replicas)).expect("the topic is made");
    }

    /// The broker is gone from one moment to the next.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.nodes[index].child.take() {
            drop(child.stdin.take());
            child.wait().expect("a killed broker ends");
        }
    }

    /// Whether the broker has ended by itself.
    pub fn has_ended(&mut self, index: usize) -> bool {
        let child = self.nodes[index].child.as_ref();
        child.is_none_or(|_| TcpStream::connect(("127.0.0.1", self.nodes[index].port)).is_err())
    }

    /// The broker is told to end, hands over what it leads, and ends.
    pub fn stop(&mut self, index: usize) {
        if let Some(mut child) = self.nodes[index].child.take() {
            let mut input = child.stdin.take().expect("it is piped");
            input.write_all(b"TERM\n").expect("its shell listens");
            child.wait().expect("a broker that was told to end does");
        }
    }

    /// Starts a broker again that has ended, with what it left on disk; waits until all are up.
    pub fn revive(&mut self, index: usize) {
        // If it ended by itself its shell still waits.
        self.kill(index);
        self.launch(index);
        self.await_all();
    }

    /// Transactions that are neither committed nor aborted, as Kafka's own tool tells of them.
    pub fn open_transactions(&self) -> Vec<String> {
        let mut tool = java(&["-XX:TieredStopAtLevel=1"], "org.apache.kafka.tools.TransactionsCommand");
        let output = tool.args(["--bootstrap-server", &self.bootstrap(), "list"]).output().expect("java runs");
        let told = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("TransactionState"), "{told}{why}");
        let ended = |line: &&str| ["CompleteCommit", "CompleteAbort", "Empty"].iter().any(|state| line.contains(state));
        told.lines().skip(1).filter(|line| !line.trim().is_empty() && !ended(line)).map(str::to_owned).collect()
    }

    /// Takes a right to a topic away from everybody, and leaves the others.
    pub fn deny(&self, right: &str, topic: &str) {
        let others: Vec<&str> = ["Read", "Write", "Describe"].into_iter().filter(|other| *other != right).collect();
        self.rule("--allow-principal", &["--topic", topic], &others);
        self.rule("--deny-principal", &["--topic", topic], &[right]);
    }

    /// Lets nobody have a transactional identity that begins so.
    pub fn deny_identities(&self, prefix: &str) {
        let identities = ["--transactional-id", prefix, "--resource-pattern-type", "prefixed"];
        self.rule("--deny-principal", &identities, &["Write"]);
    }

    fn rule(&self, whom: &str, what: &[&str], operations: &[&str]) {
        let mut tool = java(&["-XX:TieredStopAtLevel=1"], "org.apache.kafka.tools.AclCommand");
        tool.args(["--bootstrap-server", &self.bootstrap(), "--add", whom, "User:ANONYMOUS"]).args(what);
        tool.args(operations.iter().flat_map(|operation| ["--operation", operation]));
        let output = tool.output().expect("java runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    fn await_all(&self) {
        let kafka = self.kafka("");
        let admin = Admin::new(&kafka).expect("an admin client");
        let begun = Instant::now();
        while admin.brokers().unwrap_or(0) < self.nodes.len() {
            assert!(begun.elapsed() < UP_WITHIN, "the brokers are not up:\n{}", self.logs());
        }
    }

    fn folder(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("node-{}", self.nodes[index].id))
    }

    fn format(&self, index: usize) {
        let folder = self.folder(index);
        fs::create_dir_all(&folder).expect("a folder for the broker");
        fs::write(folder.join("server.properties"), self.config(index)).expect("the broker's configuration");
        let output = java(&["-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER_ID, "-c"])
            .arg(folder.join("server.properties"))
            .args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")])
            .output()
            .expect("java runs");
        assert!(output.status.success(), "formatting failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn launch(&mut self, index: usize) {
        let folder = self.folder(index);
        let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log file");
        // The broker is killed when its shell's input ends, also because this process died; a line there says how else.
        let mut broker = java(&["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"], "kafka.Kafka");
        broker.arg(folder.join("server.properties"));
        let child = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & broker=$!; read how; kill -${how:-KILL} $broker; wait $broker", "sh"])
            .arg(broker.get_program())
            .args(broker.get_args())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("a shell runs");
        self.nodes[index].child = Some(child);
    }

    fn config(&self, index: usize) -> String {
        let node = &self.nodes[index];
        let voters = self.nodes.iter().map(|one| format!("{}@127.0.0.1:{}", one.id, one.controller));
        let voters = voters.collect::<Vec<_>>().join(",");
        let replicas = self.nodes.len().min(3);
        let in_sync = replicas.min(2);
        let secure = node.secure.as_ref();
        let listener = secure.map_or(String::new(), |secure| format!(",SECURE://127.0.0.1:{}", secure.port));
        let more = secure.map_or(String::new(), Secure::config);
        format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{outer},CONTROLLER://127.0.0.1:{controller}{listener}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}{listener}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL\n\
             inter.broker.listener.name=PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             controller.quorum.voters={voters}\n\
             log.dirs={dir}\n\
             auto.create.topics.enable=false\n\
             offsets.topic.num.partitions=4\n\
             offsets.topic.replication.factor={replicas}\n\
             transaction.state.log.num.partitions=4\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr={in_sync}\n\
             transaction.abort.timed.out.transaction.cleanup.interval.ms=1000\n\
             group.initial.rebalance.delay.ms=0\n\
             log.cleaner.dedupe.buffer.size=4194304\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             allow.everyone.if.no.acl.found=true\n\
             {more}",
            id = node.id,
            port = node.port,
            outer = node.outer,
            proxy = node.proxy.port,
            controller = node.controller,
            dir = self.folder(index).join("disk/data").display(),
        )
    }

    /// The ends of the brokers' logs.
    fn logs(&self) -> String {
        let tails = (0..self.nodes.len()).map(|index| tail(&self.folder(index).join("log")));
        tails.collect::<Vec<_>>().join("\n--\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for index in 0..self.nodes.len() {
            self.kill(index);
        }
    }
}

/// Java with the broker's jars.
fn java(options: &[&str], class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(options).arg("-cp").arg(jars().join("*")).arg(class);
    command
}

/// The broker's jars, fetched once.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let jars = root.join("target/kafka/jars");
        let has = |name: &str| Command::new(name).arg("-version").output().is_ok_and(|output| output.status.success());
        assert!(
            has("java"),
            "tests of Kafka need Java 17 (on Debian or Ubuntu: apt-get install openjdk-17-jre-headless)"
        );
        // The last that was added: what an older pom fetched is not enough.
        if !jars.join("kafka-tools-4.3.1.jar").is_file() {
            assert!(has("mvn"), "tests of Kafka fetch the broker with Maven (apt-get install maven)");
            let pom = root.join("tests/kafka/pom.xml");
            let status = Command::new("mvn").args(["-q", "-B", "-f"]).arg(pom).arg("package").status();
            assert!(status.is_ok_and(|status| status.success()), "Maven did not fetch the broker");
        }
        jars
    })
}

fn tail(path: &Path) -> String {
    const BYTES: u64 = 4000;
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let _ = file.seek(SeekFrom::Start(len.saturating_sub(BYTES)));
        let _ = file.read_to_string(&mut text);
    }
    text
}

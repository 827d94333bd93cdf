//! One Kafka broker that is its own controller, in one process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    java::java,
    maven,
    process::{Server, free_port, private_folder},
};
use crate::{link::Link, repository, tls::Authority};

const JARS: [&str; 3] = [
    "org.apache.kafka:kafka_2.13:4.1.1",
    "org.apache.kafka:kafka-tools:4.1.1",
    "org.slf4j:slf4j-simple:1.7.36",
];

/// What one node needs to be a whole cluster that starts fast, is never idle, and creates no topic by mistake.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
";

/// A second listener for users with passwords, `PLAIN` or `SCRAM-SHA-256`, who may do what they are allowed to and nothing
/// else. The first is the tests' own, and may do everything.
const GUARDED: &str = "\
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
";

/// Any sixteen bytes in base64, without padding.
const CLUSTER: &str = "c3R1ZGlvLXNlYXJjaC10ZQ";

/// A running broker.
pub struct Kafka {
    server: Mutex<Server>,
    settings: PathBuf,
    pub(super) jars: PathBuf,
    /// Its `bootstrap.servers`.
    pub brokers: String,
}

/// A listener beside the tests' own.
struct Listener {
    name: String,
    protocol: &'static str,
    /// Where the broker listens.
    address: String,
    /// Where clients are told to go.
    told: String,
}

/// A broker that lets everybody in.
pub(super) fn start() -> Kafka {
    launch(&private_folder("kafka"), &[], "", &[])
}

/// A broker with so many more listeners, each told as the address of a link to it.
pub(super) fn start_linked(ways: usize) -> (Kafka, Vec<Link>) {
    let mut links = Vec::new();
    let mut listeners = Vec::new();
    for way in 0..ways {
        let address = format!("127.0.0.1:{}", free_port());
        let link = Link::to(&address);
        let name = format!("LINK{way}");
        listeners.push(Listener { name, protocol: "PLAINTEXT", address, told: link.address.to_string() });
        links.push(link);
    }
    (launch(&private_folder("kafka"), &listeners, "", &[]), links)
}

/// A broker with a second listener, for these users and their passwords; gives that one's address, too.
pub(super) fn start_for(users: &[(&str, &str)], authority: &Authority) -> (Kafka, String) {
    let folder = private_folder("kafka");
    let identity = folder.join("identity.pem");
    authority.write_identity(&identity);
    let plain = users
        .iter()
        .map(|(user, password)| format!("user_{user}=\"{password}\""))
        .collect::<Vec<_>>()
        .join(" ");
    let settings = format!(
        "{GUARDED}\
         listener.name.sasl_ssl.ssl.keystore.location={}\n\
         listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {plain};\n",
        identity.display()
    );
    let known =
        users.iter().map(|(user, password)| format!("SCRAM-SHA-256=[name={user},password={password}]"));
    let known: Vec<String> = known.flat_map(|user| ["--add-scram".to_owned(), user]).collect();
    let guarded = format!("127.0.0.1:{}", free_port());
    let name = "SASL_SSL".to_owned();
    let listener = Listener { name, protocol: "SASL_SSL", address: guarded.clone(), told: guarded.clone() };
    (launch(&folder, &[listener], &settings, &known), guarded)
}

fn launch(folder: &Path, listeners: &[Listener], more: &str, users: &[String]) -> Kafka {
    let jars = maven::cached("kafka-4.1.1", |folder| maven::jars(&JARS, folder));
    let (broker, controller) = (free_port(), free_port());
    let settings = folder.join("server.properties");
    let each = |of: fn(&Listener) -> String| listeners.iter().map(of).collect::<String>();
    let protocols = each(|listener| format!(",{}:{}", listener.name, listener.protocol));
    let addresses = each(|listener| format!(",{}://{}", listener.name, listener.address));
    let told = each(|listener| format!(",{}://{}", listener.name, listener.told));
    let own = format!(
        "inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
         listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{addresses}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{broker}{told}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={}\n",
        folder.join("data").display()
    );
    fs::write(&settings, format!("{SETTINGS}{more}{own}")).expect("the folder is writable");
    let mut format = command(&jars, "kafka.tools.StorageTool");
    format.args(["format", "-t", CLUSTER, "-c"]).arg(&settings).args(users);
    let formatted = format.output().expect("Java runs");
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
    let mut server = command(&jars, "kafka.Kafka");
    server.arg(&settings);
    let mut server = Server::start("Kafka", folder.to_owned(), server);
    server.wait_for(|folder| is_started(folder).then_some(()));
    Kafka { server: Mutex::new(server), settings, jars, brokers: format!("127.0.0.1:{broker}") }
}

fn is_started(folder: &Path) -> bool {
    fs::read_to_string(folder.join("log")).is_ok_and(|log| log.contains("Kafka Server started"))
}

/// A class of the jars, or the file of a program that uses them.
pub(super) fn command(jars: &Path, class: &str) -> Command {
    let mut command = Command::new(java(17..));
    command.args(["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-cp"]).arg(jars.join("*")).arg(class);
    command
}

impl Kafka {
    /// Allows a user of the second listener to do something, in the words of Kafka's own tool for that.
    pub fn allow(&self, user: &str, what: &str) {
        let user = format!("User:{user}");
        let who = ["--add", "--allow-principal", &user];
        self.tool("AclCommand", &who.into_iter().chain(what.split(' ')).collect::<Vec<_>>());
    }

    /// A producer that finds the partitions that the program and Java's producers find.
    pub fn producer(&self) -> BaseProducer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .create()
            .expect("a producer")
    }

    /// Appends records, key and value, and returns when all of them are there.
    pub fn append<'r>(&self, topic: &str, records: impl IntoIterator<Item = (&'r str, &'r [u8])>) {
        let producer = self.producer();
        for (key, value) in records {
            produce(&producer, BaseRecord::to(topic).key(key).payload(value));
        }
        producer.flush(Duration::from_mins(1)).expect("the broker takes it");
    }

    /// Kills it, as a crash would. Only a test that has a broker of its own may do so.
    pub fn kill(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// Starts it again at its address, with what it had.
    pub fn start_again(&self) {
        let mut command = command(&self.jars, "kafka.Kafka");
        command.arg(&self.settings);
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.start_again(command);
        server.wait_for(|folder| is_started(folder).then_some(()));
    }

    /// The partitions, of this many, that Kafka's own producer gives these keys.
    pub fn partitions_of(&self, keys: &[&str], partitions: i32) -> Vec<i32> {
        let program = repository().join("tests/kafka-java/Partitions.java");
        let mut java = command(&self.jars, &program.display().to_string());
        let output = java.arg(partitions.to_string()).args(keys).output().expect("Java runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let lines = String::from_utf8(output.stdout).expect("ASCII");
        lines.lines().map(|line| line.parse().expect("a number a line")).collect()
    }

    /// Runs one of Kafka's own tools, such as `TopicCommand`, and gives what it prints; fails if it does.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let output = command(&self.jars, &format!("org.apache.kafka.tools.{name}"))
            .args(["--bootstrap-server", &self.brokers])
            .args(arguments)
            .output()
            .expect("Java runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?} failed:\n{said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// Sends a record, however full the producer's queue is.
pub fn produce(producer: &BaseProducer, mut record: BaseRecord<'_, str, [u8]>) {
    while let Err((error, unsent)) = producer.send(record) {
        assert!(error.to_string().contains("Queue full"), "{error}");
        record = unsent;
        producer.poll(Duration::from_millis(20));
    }
}

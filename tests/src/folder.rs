//! A user's folder with a copy of `configs/movies`, and the program as the user runs it there.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    difference::Difference,
    eventually,
    graph::RealGraph,
    program, repository,
    servers::{Kafka, Rest},
    stream::Stream,
    tail,
};

/// The files of `configs/movies` that make the index.
const FILES: [&str; 5] =
    ["index.yaml", "query.graphql", "movie-ids.graphql", "movies-of-talent.graphql", "supergraph.graphql"];

/// A temporary folder with the movies' configuration. Removed when dropped.
pub struct Folder {
    home: tempfile::TempDir,
    gateway: String,
    variables: Vec<(&'static str, String)>,
}

/// A `run` or a `serve` in the background; killed when dropped, if it still runs.
pub struct Running {
    process: Child,
    admin: SocketAddr,
}

impl Folder {
    /// A folder with the configuration as it is committed.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in FILES {
            fs::copy(repository().join("configs/movies").join(file), folder.path().join(file))
                .expect("a copy");
        }
        fs::create_dir(folder.path().join("mocks")).expect("a folder of mocks");
        for mock in fs::read_dir(repository().join("configs/movies/mocks")).expect("mocks") {
            let mock = mock.expect("a mock");
            fs::copy(mock.path(), folder.path().join("mocks").join(mock.file_name())).expect("a copy");
        }
        fs::create_dir(folder.path().join("events")).expect("a folder of events");
        // Nobody listens on port 1: what needs the gateway fails until one is connected.
        Self { home: folder, gateway: "http://127.0.0.1:1/graphql".to_owned(), variables: Vec::new() }
    }

    /// A folder together with a real graph that tells its changes there.
    pub fn with_graph() -> (Self, RealGraph) {
        let mut folder = Self::new();
        let graph = RealGraph::start(&folder.path("events"));
        folder.ask(&graph);
        (folder, graph)
    }

    /// The same, with only so many of the movies.
    pub fn with_movies(movies: usize) -> (Self, RealGraph) {
        let mut folder = Self::new();
        let graph = RealGraph::start_small(&folder.path("events"), movies);
        folder.ask(&graph);
        (folder, graph)
    }

    /// A folder that asks a graph and hears none of its events.
    pub fn beside(graph: &RealGraph) -> Self {
        let mut folder = Self::new();
        folder.ask(graph);
        folder
    }

    /// Asks this graph from now on, by the schema that it has.
    pub fn ask(&mut self, graph: &RealGraph) {
        fs::write(self.path("supergraph.graphql"), graph.supergraph()).expect("the folder is writable");
        self.connect(&graph.gateway);
    }

    /// Asks another gateway from now on.
    pub fn connect(&mut self, gateway: &str) {
        gateway.clone_into(&mut self.gateway);
    }

    /// Sets a variable of the environment for every command from now on.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Replaces text in a file; fails where it isn't there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).expect("the file");
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(self.path(file), text.replace(from, to)).expect("the folder is writable");
    }

    /// Keeps the documents on a server, under another name, for servers are shared by tests.
    pub fn keep_on(&self, kind: &str, url: &str, name: &str) {
        self.edit(
            "index.yaml",
            "name: movies\n",
            &format!("name: {name}\nstore: {{ type: {kind}, url: \"{url}\" }}\n"),
        );
    }

    /// Shares the log over Kafka: makes the topics of the sources and follows the graph's events into them for as long as the
    /// stream lives. The documents are kept on a server already.
    ///
    /// With a registry, documents are written in Avro.
    pub fn share_over(&self, kafka: &Kafka, registry: Option<&Rest>, name: &str) -> Stream {
        self.share(kafka, registry.map(|registry| registry.url.as_str()));
        let tables = ["movies", "productions", "talents", "cast"];
        let topics = tables.map(|table| format!("{name}.public.{table}"));
        kafka.create_topics(&topics.each_ref().map(String::as_str), 3);
        let mut files = BTreeMap::new();
        for (table, topic) in tables.into_iter().zip(topics) {
            self.follow(table, &topic);
            files.insert(self.path("events").join(format!("{table}.ndjson")), topic);
        }
        Stream::start(&kafka.brokers, files)
    }

    /// Shares the log over Kafka. With the address of a registry, documents are written in Avro.
    pub fn share(&self, kafka: &Kafka, registry: Option<&str>) {
        let registry = registry.map(|url| format!("schema_registry: \"{url}/apis/ccompat/v7\", "));
        self.edit(
            "index.yaml",
            "state: { path: ./movies.db }\n",
            &format!(
                "kafka: {{ {}brokers: [\"{}\"], topics: {{ partitions: 6, replication: 1 }}, properties: {{ session.timeout.ms: 10000 }} }}\n",
                registry.unwrap_or_default(),
                kafka.brokers
            ),
        );
        self.edit("index.yaml", "  batch: { size: 25 }\n", "  batch: { size: 25 }\n  deadline: 12s\n");
    }

    /// Lets the source of a table, which followed a file, read a topic.
    pub fn follow(&self, table: &str, topic: &str) {
        let file = format!("file: ${{EVENTS_DIR:-./events}}/{table}.ndjson");
        self.edit("index.yaml", &file, &format!("topic: {topic}"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("GATEWAY_URL", &self.gateway)
            .env("EVENTS_DIR", self.path("events"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs a command that must succeed, and gives its stdout.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        // With `-o json` errors are told on stdout.
        let stderr = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(output.status.success(), "{arguments:?} ended with {code:?}:\n{stderr}\n{stdout}");
        stdout
    }

    /// Runs a command with `-o json` that must succeed, and gives `data`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.succeed(&[arguments, &["-o", "json"]].concat());
        let answer: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{arguments:?} printed {stdout}"));
        assert_eq!(answer["json_version"], "1", "{answer}");
        answer["data"].clone()
    }

    /// Starts `run`. Its log goes to `run.log` in the folder.
    pub fn run(&self) -> Running {
        self.run_with(&[])
    }

    /// As [`Folder::run`], with more arguments.
    pub fn run_with(&self, arguments: &[&str]) -> Running {
        self.run_at(free_address(), arguments)
    }

    /// As [`Folder::run`], with the admin port open to other machines.
    pub fn run_openly(&self) -> Running {
        self.run_at((Ipv4Addr::UNSPECIFIED, free_address().port()).into(), &[])
    }

    /// As [`Folder::run`], in an environment where these variables are set otherwise.
    pub fn run_where(&self, variables: &[(&'static str, String)]) -> Running {
        let mut command = self.command(&[]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.spawn(command, free_address(), &[])
    }

    /// As [`Folder::run`], where no file may grow past so many bytes, as on a disk that is full.
    pub fn run_within(&self, bytes: u64) -> Running {
        let admin = free_address();
        let run = self.command(&["run", "index.yaml", "--admin", &admin.to_string()]);
        // A write past the limit is then refused, instead of ending the process.
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes >> 10)]);
        shell.arg(run.get_program()).args(run.get_args()).current_dir(self.home.path()).stdin(Stdio::null());
        shell.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn_at(shell, admin)
    }

    /// Starts `serve`. Its log goes to `run.log` in the folder.
    pub fn serve(&self) -> Running {
        self.serve_at(free_address())
    }

    /// As [`Folder::serve`], open to other machines.
    pub fn serve_openly(&self) -> Running {
        self.serve_at((Ipv4Addr::UNSPECIFIED, free_address().port()).into())
    }

    fn serve_at(&self, listen: SocketAddr) -> Running {
        let arguments = ["serve", "index.yaml", "--listen", &listen.to_string()];
        self.spawn_at(self.command(&arguments), listen)
    }

    fn run_at(&self, admin: SocketAddr, arguments: &[&str]) -> Running {
        self.spawn(self.command(&[]), admin, arguments)
    }

    fn spawn(&self, mut command: Command, admin: SocketAddr, arguments: &[&str]) -> Running {
        command.args(["run", "index.yaml", "--admin", &admin.to_string()]).args(arguments);
        self.spawn_at(command, admin)
    }

    fn spawn_at(&self, mut command: Command, admin: SocketAddr) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("run.log"))
            .expect("the folder is writable");
        let process = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        Running { process, admin: (Ipv4Addr::LOCALHOST, admin.port()).into() }
    }

    /// What `run` logged, for the message of a failure.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("run.log")).unwrap_or_default()
    }

    /// The index as `status` shows it.
    pub fn status(&self) -> Value {
        self.json(&["status", "index.yaml"])["indexes"][0].clone()
    }

    /// Waits until every event is routed, every entry complete and nothing held.
    pub fn settles_within(&self, limit: Duration) {
        eventually(limit, || {
            let status = self.status();
            let routed = status["sources"].as_array().expect("sources").iter().all(|source| {
                let file =
                    source["name"].as_str().expect("a name").strip_suffix("-changes").expect("ours end so");
                let file = if file == "cast" { "cast".to_owned() } else { format!("{file}s") };
                let file = self.path("events").join(format!("{file}.ndjson"));
                source["position"].as_u64().unwrap_or(0) >= self.length(&file)
            });
            let backfilled =
                ["DONE", "FAILED"].contains(&status["backfill"]["state"].as_str().unwrap_or("DONE"));
            let lag = status["lag"]["live"] == 0 && status["lag"]["backfill"] == 0;
            let fanned_out = status["fan_outs"] == json!([]);
            let settled = routed && backfilled && fanned_out && lag && status["held"] == 0;
            if settled { Ok(()) } else { Err(format!("{status:#}\n{}", tail(&self.log()))) }
        });
    }

    /// Where a source is when it has read all of its file: bytes, or records of the topic that the file goes to. An inbox counts
    /// otherwise: a test asks for its lag.
    fn length(&self, file: &Path) -> u64 {
        let text = fs::read(file).unwrap_or_default();
        let index = fs::read_to_string(self.path("index.yaml")).expect("the configuration");
        let is_shared = index.contains("\nkafka:");
        let name = file.file_name().expect("a file").to_string_lossy();
        if !is_shared && !index.contains(&*name) {
            return 0;
        }
        let length = if is_shared { text.iter().filter(|byte| **byte == b'\n').count() } else { text.len() };
        length as u64
    }

    /// Backfills the whole graph, and gives its documents once they are in the index.
    pub fn backfills_within(&self, limit: Duration, graph: &RealGraph) -> BTreeMap<String, Value> {
        self.succeed(&["backfill", "start", "index.yaml"]);
        self.settles_within(limit);
        let documents = self.exported();
        assert_equal(&documents, &graph.documents(), &self.log());
        assert!(documents.len() >= 800, "{}", documents.len());
        documents
    }

    /// The documents of the served version as `export` prints them.
    pub fn exported(&self) -> BTreeMap<String, Value> {
        self.exported_versions().into_iter().map(|(id, (_, document))| (id, document)).collect()
    }

    /// The same, each with its version.
    pub fn exported_versions(&self) -> BTreeMap<String, (u64, Value)> {
        let mut documents = BTreeMap::new();
        for line in self.succeed(&["export", "index.yaml"]).lines() {
            let mut row: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            let (id, version) = (text("id"), text("version").parse().expect("a number"));
            documents.insert(id, (version, row["document"].take()));
        }
        documents
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Running {
    /// Ends it as an operator would, and gives its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill");
        assert!(sent.success(), "the process ended by itself before it was told to");
        self.process.wait().expect("it ends").code()
    }

    /// Where its admin port will listen.
    pub fn address(&self) -> SocketAddr {
        self.admin
    }

    /// Where its admin port listens, once it does.
    pub fn admin(&self) -> SocketAddr {
        eventually(Duration::from_secs(30), || {
            TcpStream::connect(self.admin).map(drop).map_err(|error| format!("{}: {error}", self.admin))
        });
        self.admin
    }

    /// How long processors have worked for it, its own code and the kernel on its behalf, as Linux counts it.
    pub fn processor_time(&self) -> Duration {
        let stat = self.told_by_linux("stat");
        // The name before the last parenthesis may hold spaces; the fourteenth and fifteenth columns count from it.
        let (_, columns) = stat.rsplit_once(") ").expect("a name in parentheses");
        let ticks = columns.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// What its admin port answers at this path: the status and the text.
    pub fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.admin());
        let answer = reqwest::blocking::get(url).expect("the admin port answers");
        (answer.status().as_u16(), answer.text().expect("text"))
    }

    /// The most memory it ever had, in bytes, as Linux counts it.
    pub fn peak_memory(&self) -> u64 {
        let status = self.told_by_linux("status");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of the kernel's");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kilobytes * 1_024
    }

    fn told_by_linux(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("it runs, on Linux")
    }

    /// Freezes it between any two lines, as a machine that hangs does.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on as if nothing had been.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// The code that it ended with by itself, or nothing while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it is ours")
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(sent.expect("kill").success(), "the process ended by itself");
    }

    /// Ends it between any two lines.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says which documents differ, the first few whole; fails if any do.
pub fn assert_equal(indexed: &BTreeMap<String, Value>, graph: &BTreeMap<String, Value>, log: &str) {
    let difference = Difference::between(indexed, graph);
    assert!(difference.is_none(), "{difference}\n{}", tail(log));
}

/// A port that nobody has right now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

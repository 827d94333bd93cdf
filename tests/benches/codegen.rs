//! GitHub's schema and a query of more than 60 fields: the program against a script with graphql-js, and the reading of the
//! schema against graphql-js, apollo-compiler and a bare scan of the JSON, rivals interleaved in one run.
//!
//! `cargo build --release -p studio-search && cargo bench -p studio-search-tests --bench codegen`, on a quiet machine.
//! Loading counts the verdict on the query, too: a schema is an index until a query touches it.

use std::{
    fs,
    hint::black_box,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use codegen::GraphSchema;
use harness::{graphql_js::folder, program};
use plan::SourceText;
use serde::de::IgnoredAny;

const ROUNDS: usize = 11;

/// What must be reached at least, or at most; beyond it the program fails.
const COLD: f64 = 20.0;
const AHEAD: f64 = 5.0;
const OF_A_SCAN: f64 = 2.5;
const OF_THE_FILE: f64 = 4.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let folder = folder();
    let json = read(&folder.join("node_modules/@octokit/graphql-schema/schema.json"));
    let sdl = read(&folder.join("node_modules/@octokit/graphql-schema/schema.graphql"));
    let query = read(&folder.join("github/query.graphql"));

    let mut node = Command::new("node")
        .arg("load.mjs")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node 20 or newer on the PATH");
    let mut ask = node.stdin.take().expect("it is piped");
    let mut answers = BufReader::new(node.stdout.take().expect("it is piped"));
    let mut theirs = |kind: &str| {
        writeln!(ask, "{kind}").expect("it listens");
        let mut line = String::new();
        answers.read_line(&mut line).expect("it answers");
        Duration::from_nanos(line.trim().parse().expect("nanoseconds"))
    };

    let mut rounds: Vec<[Duration; 8]> = Vec::new();
    for round in 0..=ROUNDS {
        let figures = [
            timed(|| {
                serde_json::from_str::<IgnoredAny>(black_box(&json.text)).expect("JSON");
            }),
            timed(|| load(&json, &query)),
            timed(|| load(&sdl, &query)),
            theirs("json"),
            theirs("sdl"),
            timed(|| {
                // GitHub's file defines a field twice, so there is a schema only beside an error.
                let parsed = apollo_compiler::Schema::parse(black_box(&sdl.text), "schema.graphql");
                drop(black_box(parsed));
            }),
            timed(|| ours_cold(&folder)),
            timed(|| node_cold(&folder)),
        ];
        // The first round warms the caches up.
        if round > 0 {
            rounds.push(figures);
        }
    }
    drop(ask);
    node.wait().expect("it ends with its input");

    let ratio = |above: usize, below: usize| {
        let mut ratios: Vec<f64> =
            rounds.iter().map(|round| round[above].as_secs_f64() / round[below].as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    let best = |which: usize| rounds.iter().map(|round| round[which]).min().expect("rounds");
    let names = [
        "scan of the JSON",
        "ours, JSON",
        "ours, SDL",
        "graphql-js, JSON",
        "graphql-js, SDL",
        "apollo-compiler, SDL",
        "generate avro, cold",
        "node script, cold",
    ];
    for (which, name) in names.iter().enumerate() {
        println!("{name:22} {:8.1} ms at best", best(which).as_secs_f64() * 1e3);
    }
    let memory = peak(&folder) / f64::from(u32::try_from(json.text.len()).expect("small"));
    let mut good = true;
    let mut told = |what: &str, reached: f64, wanted: f64, at_least: bool| {
        let word = if at_least { "at least" } else { "at most" };
        println!("{what:46} {reached:6.2} ({word} {wanted})");
        good &= if at_least { reached >= wanted } else { reached <= wanted };
    };
    told("node script / generate avro, cold", ratio(7, 6), COLD, true);
    told("graphql-js / ours, JSON, warm", ratio(3, 1), AHEAD, true);
    told("graphql-js / ours, SDL, warm", ratio(4, 2), AHEAD, true);
    told("apollo-compiler / ours, SDL, warm", ratio(5, 2), AHEAD, true);
    told("ours, JSON / scan of the JSON", ratio(1, 0), OF_A_SCAN, false);
    told("peak memory of generate avro / schema file", memory, OF_THE_FILE, false);
    assert!(good, "a figure is missed");
}

fn read(path: &Path) -> Arc<SourceText> {
    let text = fs::read_to_string(path).expect("a file of the bench");
    Arc::new(SourceText { name: path.display().to_string(), text })
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn load(schema: &Arc<SourceText>, query: &Arc<SourceText>) {
    let schema = GraphSchema::parse(black_box(schema)).value.expect("a schema");
    let verdict = schema.check(black_box(query));
    assert!(verdict.is_empty(), "{verdict:?}");
}

fn ours_cold(folder: &Path) {
    let output = Command::new(program())
        .args(["-q", "generate", "avro", "github/index.yaml"])
        .current_dir(folder)
        .output()
        .expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 1000, "an Avro schema");
}

fn node_cold(folder: &Path) {
    let output = Command::new("node")
        .args(["avro.mjs", "node_modules/@octokit/graphql-schema/schema.json", "github/query.graphql"])
        .current_dir(folder)
        .output()
        .expect("Node");
    assert!(output.status.success() && output.stdout.len() > 1000, "an Avro schema");
}

/// The most memory that the program held, in bytes, as the system counts for a child that has ended.
fn peak(folder: &Path) -> f64 {
    let script = "import resource, subprocess, sys\n\
                  subprocess.run(sys.argv[1:], check=True, capture_output=True)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(program())
        .args(["generate", "avro", "github/index.yaml"])
        .current_dir(folder)
        .output()
        .expect("Python 3 on the PATH");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("bytes")
}

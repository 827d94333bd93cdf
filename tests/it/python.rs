//! The Python package: built into a wheel, installed into a fresh virtual environment, used as a command and as a module.

use std::{fs, path::Path, process::Command};

use harness::{folder::Folder, packages, program, repository};

/// What the wheel is made with, and what the crates are compiled with for the tests beside it, so that it needs little of its own.
const AS_TESTED: &str = "python,tokio/test-util,studio-search-indexer/default,studio-search-indexer/testing,studio-search-query/testing";

/// Asks for what the command line prints with `-o json`, and for an error.
const SCRIPT: &str = r#"
import studio_search
valid = studio_search.validate(".")
assert valid["success"] is True, valid
found = studio_search.search(".", filter="movieId IN ['m1', 'm2', 'm3']", facets=["type"])
assert found["total"] == 3, found
assert {hit["document"]["movieId"] for hit in found["hits"]} == {"m1", "m2", "m3"}, found
assert sum(value["count"] for value in found["facets"]["type"]) == 3, found
try:
    studio_search.search(".", filter="titel == 'x'")
except studio_search.StudioSearchError as error:
    assert error.code.startswith("SS7"), error.code
else:
    raise AssertionError("an unknown field must be an error")
print("ok")
"#;

#[test]
fn the_wheel_works_in_a_fresh_environment() {
    // The wheel is made by the profile and into the folder of these tests, so that little is compiled twice.
    let target = program().parent().and_then(Path::parent).expect("target/<profile>").to_owned();
    let python = packages::python(&repository().join("tests/wheel"));
    let wheels = tempfile::tempdir().expect("a temporary folder");
    let mut build = Command::new(python.with_file_name("maturin"));
    build
        .args(["build", "--profile", "dev", "--features", AS_TESTED, "--manifest-path"])
        .arg(repository().join("cli/Cargo.toml"));
    build.arg("--interpreter").arg(&python).arg("--out").arg(wheels.path());
    succeed(build.env("CARGO_TARGET_DIR", &target), "maturin build");
    let wheel =
        fs::read_dir(wheels.path()).expect("a folder").flatten().next().expect("a wheel was built").path();
    let name = wheel.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(name.contains("cp310-abi3"), "one wheel for every Python from 3.10 on: {name}");

    let fresh = tempfile::tempdir().expect("a temporary folder");
    virtual_environment(fresh.path());
    succeed(
        Command::new(fresh.path().join("bin/pip")).args(["install", "--quiet"]).arg(&wheel),
        "pip install",
    );

    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1", "--id", "m2", "--id", "m3"]);
    folder.succeed(&["run", "index.yaml", "--once"]);
    let inside = |program: &str| {
        let mut command = Command::new(fresh.path().join("bin").join(program));
        command
            .current_dir(folder.path("."))
            .env("GATEWAY_URL", &graph.gateway)
            .env("EVENTS_DIR", folder.path("events"));
        command
    };
    let said = succeed(inside("studio-search").args(["validate", "-o", "json"]), "studio-search validate");
    assert!(said.contains(r#""success":true"#), "{said}");
    let refused = inside("studio-search").arg("frobnicate").output().expect("it starts");
    assert_eq!(refused.status.code(), Some(64), "the same exit codes as the binary's");
    assert_eq!(succeed(inside("python").args(["-c", SCRIPT]), "the module").trim(), "ok");
}

fn virtual_environment(folder: &Path) {
    let missing = "python3 -m venv (Debian: apt-get install python3-venv)";
    succeed(Command::new("python3").args(["-m", "venv"]).arg(folder), missing);
}

fn succeed(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed:\n{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! The packages of the tests' Node, Python and Java programs, installed once, as their files of versions say.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{modified, target};

/// Pinned, so that a new release of the plugin changes nothing here.
const MAVEN_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Installs the packages of a folder with more options for npm, once for all tests of all processes.
pub(crate) fn install(folder: &Path, options: &[&str]) {
    let _lock = lock_folder(folder);
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&folder.join("package-lock.json")) {
        return;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).args(options).current_dir(folder);
    succeed(&mut npm, "npm ci (npm comes with Node)");
}

/// The Python of a virtual environment below `target/` that has what a folder's `requirements.txt` wants.
pub fn python(folder: &Path) -> PathBuf {
    let requirements = folder.join("requirements.txt");
    let environment = target().join("tools").join(folder.file_name().expect("a folder has a name"));
    fs::create_dir_all(&environment).expect("target/ is writable");
    let _lock = lock_folder(&environment);
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    let wanted = fs::read(&requirements).expect("a file of versions");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&environment);
    succeed(&mut make, "python3 -m venv (Debian: apt-get install python3-venv)");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
    succeed(&mut pip, "pip install");
    fs::write(installed, wanted).expect("target/ is writable");
    python
}

/// The class path of what a folder's `pom.xml` wants, in the user's own Maven repository.
pub(crate) fn class_path(folder: &Path) -> String {
    let place = target().join("tools").join(folder.file_name().expect("a folder has a name"));
    fs::create_dir_all(&place).expect("target/ is writable");
    let _lock = lock_folder(&place);
    let (pom, known) = (folder.join("pom.xml"), place.join("class-path.txt"));
    let is_whole = |path: &String| std::env::split_paths(path).all(|jar| jar.exists());
    let kept = fs::read_to_string(&known).ok().filter(|_| modified(&known) > modified(&pom));
    if let Some(path) = kept.filter(is_whole) {
        return path;
    }
    maven("build-classpath", &[&format!("-Dmdep.outputFile={}", known.display())], folder);
    fs::read_to_string(&known).expect("Maven has written it")
}

/// Runs a goal of the dependency plugin on the `pom.xml` of a folder, or without one.
pub(crate) fn maven(goal: &str, options: &[&str], folder: &Path) {
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode"]).arg(format!("{MAVEN_PLUGIN}:{goal}")).args(options);
    succeed(maven.current_dir(folder), &format!("mvn {goal} {options:?} (Debian: apt-get install maven)"));
}

/// Keeps other tests, of this process and of others, from installing in a folder.
fn lock_folder(folder: &Path) -> File {
    lock(&folder.join(".install.lock"))
}

/// Waits until nobody else holds the lock; it ends with the file.
pub(crate) fn lock(path: &Path) -> File {
    let lock = File::create(path).unwrap_or_else(|error| panic!("{} can't be made: {error}", path.display()));
    lock.lock().expect("a file lock");
    lock
}

fn succeed(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("these tests need {what}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed:\n{stdout}{stderr}");
}

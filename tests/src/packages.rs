//! The npm packages of the tests' Node programs, installed from their lock files.

use std::{fs::File, path::Path, process::Command};

use crate::modified;

/// Installs the packages of a folder with more options for npm, once for all tests of all processes.
pub(crate) fn install(folder: &Path, options: &[&str]) {
    let lock = File::create(folder.join(".install.lock")).expect("the folder is writable");
    lock.lock().expect("a file lock");
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&folder.join("package-lock.json")) {
        return;
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(options)
        .current_dir(folder)
        .output()
        .expect("these tests need npm on the PATH; it comes with Node");
    assert!(output.status.success(), "npm ci failed:\n{}", String::from_utf8_lossy(&output.stderr));
}

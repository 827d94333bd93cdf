//! Headless Chromium, which a package brings along whole, as a visitor of the pages.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{packages, repository, target};

/// A screen in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// A phone held upright.
pub const PHONE: Screen = Screen { width: 390, height: 844 };

/// A window on a desk.
pub const DESK: Screen = Screen { width: 1280, height: 900 };

/// Visits the page at `url`: types the words, takes the first value of the facet, leaves it again and makes a mistake in a filter.
/// Gives what was seen at each step and all complaints of the browser, as `visit.mjs` tells them.
pub fn visit(url: &str, screen: Screen, words: &str, facet: &str, picture: &Path) -> Value {
    let folder = repository().join("tests/page");
    packages::install(&folder, &[]);
    let output = Command::new("node")
        .args(["visit.mjs", url, &screen.width.to_string(), &screen.height.to_string(), words, facet])
        .arg(picture)
        .env("TMPDIR", target().join("tools/chromium"))
        .current_dir(folder)
        .output()
        .expect("these tests need Node 20 or newer on the PATH");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "visit.mjs failed:\n{errors}");
    serde_json::from_slice(&output.stdout).expect("a line of JSON")
}

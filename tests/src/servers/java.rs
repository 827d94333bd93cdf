//! Finds a Java to run a server with.

use std::{
    collections::BTreeSet,
    env,
    fmt::Debug,
    fs,
    ops::RangeBounds,
    path::{Path, PathBuf},
};

/// Where distributions and version managers put JDKs.
const FOLDERS: [&str; 3] = ["/usr/lib/jvm", "/opt", "/usr/local"];

/// The `java` of the oldest JDK among these versions: a server is best run by what it was made for.
///
/// Looks at every variable that begins with `JAVA_HOME`, as hosted runners set them, and into the usual folders.
pub(super) fn java(versions: impl RangeBounds<u32> + Debug) -> PathBuf {
    let named = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JAVA_HOME"));
    let managed = env::home_dir().map(|home| home.join(".sdkman/candidates/java"));
    let folders = FOLDERS.iter().map(PathBuf::from).chain(managed);
    let installed = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let homes = named.map(|(_, home)| PathBuf::from(home)).chain(installed.map(|entry| entry.path()));
    let known: BTreeSet<(u32, PathBuf)> =
        homes.filter_map(|home| Some((version(&home)?, home.join("bin/java")))).collect();
    let fitting = known.iter().find(|(version, java)| versions.contains(version) && java.is_file());
    let Some((_, java)) = fitting else {
        panic!(
            "these tests need a whole JDK {versions:?}: install one, or say where it is in JAVA_HOME; found {known:?}"
        );
    };
    java.clone()
}

/// The major version of a JDK; `None` for a runtime that lacks modules, which Elasticsearch would miss.
fn version(home: &Path) -> Option<u32> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    let value = |name: &str| {
        release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
    };
    value("MODULES").filter(|modules| modules.contains("jdk.attach") && modules.contains("jdk.jdi"))?;
    value("JAVA_VERSION")?.split(['.', '-', '+']).next()?.parse().ok()
}

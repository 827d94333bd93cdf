//! Gets servers from Maven Central, once, into the user's cache.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::packages;

/// The folder in the cache that `fill` filled, now or in the past. Whoever fills it is alone, and it appears whole.
pub(super) fn cached(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache();
    let _lock = lock(name);
    let folder = cache.join(name);
    if folder.is_dir() {
        return folder;
    }
    let half = tempfile::Builder::new().prefix(".half-").tempdir_in(&cache).expect("the cache is writable");
    let filled = half.path().join(name);
    fs::create_dir(&filled).expect("the cache is writable");
    fill(&filled);
    fs::rename(&filled, &folder).expect("both are in the cache");
    folder
}

/// Keeps all other tests of this user from what the name stands for.
pub(super) fn lock(name: &str) -> File {
    let cache = cache();
    fs::create_dir_all(&cache).unwrap_or_else(|error| panic!("{} can't be made: {error}", cache.display()));
    packages::lock(&cache.join(format!("{name}.lock")))
}

/// Root's cache is the machine's: a server that refuses to be root must be able to read it.
fn cache() -> PathBuf {
    let parent = match env::var_os("XDG_CACHE_HOME") {
        Some(named) if !named.is_empty() => PathBuf::from(named),
        _ if is_root() => PathBuf::from("/var/cache"),
        _ => env::home_dir().expect("a user has a home").join(".cache"),
    };
    parent.join("studio-search")
}

/// Whether these tests run as root.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").expect("Linux").uid() == 0
}

/// Unpacks what matches `includes` of an archive, named `group:artifact:version:type[:classifier]`. The archive itself is
/// not kept: some have a gigabyte.
pub(super) fn unpack(artifact: &str, includes: &str, into: &Path) {
    let folder = into.parent().expect("a folder in the cache");
    let repository = folder.join("repository");
    let output = format!("-DoutputDirectory={}", into.display());
    let artifact = format!("-Dartifact={artifact}");
    let includes = format!("-Dmdep.unpack.includes={includes}");
    let repository = format!("-Dmaven.repo.local={}", repository.display());
    packages::maven("unpack", &[&output, &artifact, &includes, &repository], folder);
}

/// Copies the jars `group:artifact:version` with all that they depend on.
pub(super) fn jars(artifacts: &[&str], into: &Path) {
    let dependencies = artifacts.iter().map(|artifact| {
        let mut parts = artifact.split(':');
        let mut part = || parts.next().expect("group:artifact:version");
        let (group, artifact, version) = (part(), part(), part());
        format!("<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>")
    });
    let project = format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>studio-search</groupId><artifactId>jars</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{}</dependencies></project>",
        dependencies.collect::<String>()
    );
    let folder = into.parent().expect("a folder in the cache");
    fs::write(folder.join("pom.xml"), project).expect("the cache is writable");
    packages::maven("copy-dependencies", &[&format!("-DoutputDirectory={}", into.display())], folder);
}

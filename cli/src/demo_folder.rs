//! The folder of the demo: the example that the repository holds, put on disk so that every command works on it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, project::FILE_NAME};

/// The example, as it stands in the repository.
const FILES: [(&str, &str); 11] = [
    (FILE_NAME, include_str!("../../configs/movies/index.yaml")),
    ("query.graphql", include_str!("../../configs/movies/query.graphql")),
    ("movie-ids.graphql", include_str!("../../configs/movies/movie-ids.graphql")),
    ("movies-of-talent.graphql", include_str!("../../configs/movies/movies-of-talent.graphql")),
    ("supergraph.graphql", include_str!("../../configs/movies/supergraph.graphql")),
    (
        "mocks/avatar-partial.response.json",
        include_str!("../../configs/movies/mocks/avatar-partial.response.json"),
    ),
    (
        "mocks/avatar-wrapped.response.json",
        include_str!("../../configs/movies/mocks/avatar-wrapped.response.json"),
    ),
    ("mocks/avatar.json", include_str!("../../configs/movies/mocks/avatar.json")),
    (
        "mocks/movies-of-cameron.response.json",
        include_str!("../../configs/movies/mocks/movies-of-cameron.response.json"),
    ),
    ("mocks/production-wrapped.json", include_str!("../../configs/movies/mocks/production-wrapped.json")),
    ("mocks/talent-renamed.json", include_str!("../../configs/movies/mocks/talent-renamed.json")),
];

/// What stands before the gateway of those who name no other.
const GATEWAY: &str = "${GATEWAY_URL:-";

/// How many demos can have a folder on one machine at once.
const TEMPORARY_FOLDERS: u32 = 1_000;

/// A folder with the demo's files.
#[derive(Debug)]
pub(crate) struct DemoFolder {
    path: PathBuf,
    /// Whether it goes away with this value.
    is_temporary: bool,
}

impl DemoFolder {
    /// A folder that the user named. Files that are there already stay: they may have been edited.
    pub(crate) fn named(path: &Path) -> Result<Self, Failure> {
        let folder = Self { path: path.to_owned(), is_temporary: false };
        fs::create_dir_all(path).and_then(|()| folder.fill()).map_err(|error| not_writable(path, &error))?;
        Ok(folder)
    }

    /// A new folder for temporary files, kept for the commands that the demo proposes.
    pub(crate) fn kept() -> Result<Self, Failure> {
        Self::new(false)
    }

    /// A new folder that is removed in the end.
    pub(crate) fn removed() -> Result<Self, Failure> {
        Self::new(true)
    }

    fn new(is_temporary: bool) -> Result<Self, Failure> {
        let folder = Self { path: new_folder()?, is_temporary };
        folder.fill().map_err(|error| not_writable(&folder.path, &error))?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the demo graph tells of its changes; `index.yaml` follows these files.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events")
    }

    /// Makes the graph at this address the one that commands in this folder ask, where its user named none of their own.
    pub(crate) fn name_gateway(&self, url: &str) -> Result<(), Failure> {
        let path = self.path.join(FILE_NAME);
        let named = || {
            let text = fs::read_to_string(&path)?;
            let Some((before, default)) = text.split_once(GATEWAY) else { return Ok(()) };
            let Some((default, after)) = default.split_once('}') else { return Ok(()) };
            let is_ours =
                ["http://localhost:", "http://127.0.0.1:"].iter().any(|own| default.starts_with(own));
            if is_ours { fs::write(&path, format!("{before}{GATEWAY}{url}}}{after}")) } else { Ok(()) }
        };
        named().map_err(|error| not_writable(&path, &error))
    }

    fn fill(&self) -> io::Result<()> {
        fs::create_dir_all(self.path.join("mocks"))?;
        for (name, text) in FILES {
            match fs::File::create_new(self.path.join(name)) {
                Ok(mut file) => io::Write::write_all(&mut file, text.as_bytes())?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            // What can't be removed is left to the system, as all temporary files are.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a folder that nobody had before, so that nobody else's files are in it.
fn new_folder() -> Result<PathBuf, Failure> {
    let parent = std::env::temp_dir();
    for number in 1..=TEMPORARY_FOLDERS {
        let path = parent.join(format!("studio-search-demo-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(not_writable(&path, &error)),
        }
    }
    let failure = Failure::new(format!("{} is full of demos", parent.display()));
    Err(failure.help("remove the folders studio-search-demo-*, or name a folder with --dir"))
}

fn not_writable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} can't be written: {error}", path.display()))
        .help("name another folder with --dir")
}

//! `init`: writes a first configuration for an entity of a schema, and touches nothing that is there.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use codegen::starter::{self, Candidate, Start, StarterFile};
use indexer::endpoints::GraphEndpoint;
use plan::SourceText;
use serde::Serialize;

use crate::{
    exit::Exit,
    failure::Failure,
    files::write_new,
    output::Output,
    project::{introspect, read_named},
    table::Table,
};

/// How long a gateway may take to tell its schema.
const PATIENCE: Duration = Duration::from_secs(30);

/// The file of a schema that a gateway told.
const TOLD_SCHEMA: &str = "schema.json";

/// Where the schema comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// `--schema`
    File(PathBuf),
    /// `--introspect`
    Gateway(String),
}

impl Origin {
    /// As the flags say; clap wants exactly one.
    pub(crate) fn of(schema: Option<PathBuf>, introspect: Option<String>) -> Self {
        match (schema, introspect) {
            (Some(file), _) => Self::File(file),
            (None, url) => Self::Gateway(url.unwrap_or_default()),
        }
    }
}

#[derive(Serialize)]
struct Written {
    success: bool,
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Candidates {
    success: bool,
    entities: Vec<Entity>,
}

#[derive(Serialize)]
struct Entity {
    #[serde(rename = "type")]
    type_name: String,
    key: String,
    root_field: String,
}

/// Writes the files of a first configuration; without a root, lists what could be one.
pub(crate) async fn init(
    dir: &Path,
    root: Option<&str>,
    origin: &Origin,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let schema = read(origin).await?;
    let Some(root) = root else { return list(&schema, output) };
    let (path, url) = match origin {
        Origin::File(file) => (relative(dir, file)?, None),
        Origin::Gateway(url) => (format!("./{TOLD_SCHEMA}"), Some(url.as_str())),
    };
    let start = Start { root, schema: &path, url };
    let mut files = starter::start(&schema, &start).map_err(Failure::of_diagnostics)?;
    if let Origin::Gateway(_) = origin {
        files.push(StarterFile { name: TOLD_SCHEMA, text: schema.text.clone() });
    }
    let written = write_all(dir, &files)?;
    output.answer(&Written { success: true, files: written.clone() }, |_| {
        let mut lines: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        lines.push("next: cut query.graphql to what you search, then studio-search validate".to_owned());
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

async fn read(origin: &Origin) -> Result<Arc<SourceText>, Failure> {
    match origin {
        Origin::File(file) => read_named(file),
        Origin::Gateway(url) => {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                let failure = Failure::usage("`--introspect` takes the address of a gateway");
                return Err(failure.help("it begins with http:// or https://"));
            }
            let endpoint = GraphEndpoint { url: url.clone(), headers: Vec::new(), ca: None };
            introspect(endpoint, PATIENCE, "with a schema in a file, no gateway is needed: --schema FILE")
                .await
        }
    }
}

fn list(schema: &Arc<SourceText>, output: &mut Output) -> Result<Exit, Failure> {
    let candidates = starter::candidates(schema).map_err(Failure::of_diagnostics)?;
    if candidates.is_empty() {
        let failure = Failure::new("the schema has no type that is answered by its key");
        return Err(
            failure.help("a document is fetched by its id: a field such as `movie(movieId: ID!): Movie`")
        );
    }
    let entity = |Candidate { type_name, key, root_field }: Candidate| Entity { type_name, key, root_field };
    let entities: Vec<Entity> = candidates.into_iter().map(entity).collect();
    output.say("An index can be made of these; name one with --root.");
    let mut table = Table::new(&["type", "key", "answered by"]);
    for Entity { type_name, key, root_field } in &entities {
        table.row([type_name.clone(), key.clone(), root_field.clone()]);
    }
    output.answer(&Candidates { success: true, entities }, |paint| table.render(paint))?;
    Ok(Exit::Done)
}

/// Writes all files or none. Each is whole from the moment on that it has its name.
fn write_all(dir: &Path, files: &[StarterFile]) -> Result<Vec<PathBuf>, Failure> {
    let paths: Vec<PathBuf> = files.iter().map(|file| dir.join(file.name)).collect();
    if let Some(taken) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        let failure = Failure::new(format!("{} exists already, so nothing was written", taken.display()));
        return Err(failure.help("name another folder, or move the file away"));
    }
    fs::create_dir_all(dir).map_err(|error| not_writable(dir, &error))?;
    for (done, (path, file)) in paths.iter().zip(files).enumerate() {
        if let Err(error) = write_new(path, &file.text) {
            // What this call wrote is nobody's yet.
            paths[..done].iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(not_writable(path, &error));
        }
    }
    Ok(paths)
}

fn not_writable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} can't be written: {error}", path.display())).help("nothing was written")
}

/// The path of a file as a configuration in this folder names it.
fn relative(dir: &Path, file: &Path) -> Result<String, Failure> {
    let absolute = |path: &Path| {
        let unknown = |error| Failure::new(format!("{} is nowhere: {error}", path.display()));
        // A folder that is still to be made has no canonical path; its parts are taken as they are written.
        path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(unknown)
    };
    let (dir, file) = (absolute(dir)?, absolute(file)?);
    let shared = dir.components().zip(file.components()).take_while(|(one, other)| one == other).count();
    let up = dir.components().skip(shared).filter(|part| matches!(part, Component::Normal(_))).count();
    let start = if up == 0 { "./".to_owned() } else { "../".repeat(up) };
    let rest: PathBuf = file.components().skip(shared).collect();
    let rest = rest.to_str().map(|rest| rest.replace('\\', "/"));
    rest.map(|rest| start + &rest).ok_or_else(|| Failure::new("the schema's path is no UTF-8"))
}

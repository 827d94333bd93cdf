//! `serve`: searches over HTTP and as a subgraph, by what is provisioned.

use std::{sync::Arc, time::Duration};

use ::search::{
    port,
    serve::{Catalog, CatalogError, Catalogs, ServedIndex},
};
use indexer::{Index, StateError, endpoints::Place};
use plan::code::{config::SS119, store::SS508};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    args::Serve, environment::Environment, exit::Exit, failure::Failure, output::Output, project::Project,
    signals,
};

/// How often the plans and the served versions are read again: a promotion or a new plan shows within this time.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// An index that is served, where it lives, and where its policies are asked.
struct ServedPlace {
    name: String,
    place: Place,
    policy_url: Option<String>,
}

/// The indexes that are served.
struct Served {
    places: Vec<ServedPlace>,
    catalogs: Catalogs,
}

/// Answers until SIGTERM or SIGINT.
pub(crate) async fn serve(serve: &Serve, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let asked = signals::stop_on_signals();
    let mut projects = Vec::new();
    for file in &serve.files {
        let project = Project::open(file, env)?;
        output.report(&project.warnings);
        projects.push(project);
    }
    let place = |project: &Project| ServedPlace {
        name: project.config.name.value.clone(),
        place: project.place(),
        policy_url: project.policy_url(),
    };
    let places: Vec<ServedPlace> = projects.iter().map(place).collect();
    let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
    if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(Failure::usage(format!("two of the files are the index {name}")));
    }
    let project = projects.first().ok_or_else(|| Failure::usage("name an index.yaml to serve"))?;
    let port = project.search_port(serve.listen)?;
    let acceptor = port.identity.as_ref().map(port::acceptor).transpose().map_err(|error| {
        Failure::of_error(
            &error,
            SS119,
            Some("`serve.tls.cert` is a PEM file of a certificate, `serve.tls.key` one of its private key"),
        )
    })?;
    let served = Served { places, catalogs: Catalogs::new() };
    let indexes = served.open().await?;
    let catalog = served.catalogs.of(indexes.clone())?;
    let (newest, catalog) = watch::channel(Arc::new(catalog));
    let listener = TcpListener::bind(port.address).await.map_err(|error| {
        let failure = Failure::new(format!("{} can't be listened on: {error}", port.address)).code(SS508);
        failure.exit(Exit::Unreachable).help("give another address with `--listen` or under `serve.listen`")
    })?;
    tracing::info!(address = %port.address, indexes = ?served.names(), "serving searches");
    let catalogs = served.catalogs.clone();
    let following = tokio::spawn(served.follow(indexes, newest, asked.stop.clone()));
    let ended =
        ::search::serve::serve(listener, acceptor, port.tokens, &catalogs, catalog, asked.stop.clone()).await;
    asked.stop.cancel();
    let _ = following.await;
    ended.map_err(|error| Failure::new(format!("the search port failed: {error}")))?;
    Ok(Exit::Done)
}

impl Served {
    fn names(&self) -> Vec<&str> {
        self.places.iter().map(|place| place.name.as_str()).collect()
    }

    async fn open(&self) -> Result<Vec<ServedIndex>, StateError> {
        let mut indexes = Vec::new();
        for ServedPlace { name, place, policy_url } in &self.places {
            indexes.push(Index::searches(name, place, policy_url.clone()).await?);
        }
        Ok(indexes)
    }

    /// Puts a new catalog in the place of the old one when an index has another version or plan, until it is stopped.
    async fn follow(
        self,
        mut shown: Vec<ServedIndex>,
        newest: watch::Sender<Arc<Catalog>>,
        stop: CancellationToken,
    ) {
        let is_same =
            |one: &ServedIndex, two: &ServedIndex| one.version == two.version && one.plan == two.plan;
        while stop.run_until_cancelled(tokio::time::sleep(READ_AGAIN)).await.is_some() {
            let indexes = match self.open().await {
                Ok(indexes) => indexes,
                Err(error) => {
                    tracing::debug!(code = error.code().id, "{error}: what was served is served on");
                    continue;
                }
            };
            if shown.iter().zip(&indexes).all(|(one, two)| is_same(one, two)) {
                continue;
            }
            shown.clone_from(&indexes);
            match self.catalogs.of(indexes) {
                Ok(catalog) => {
                    tracing::info!("an index has another version or plan, which is served from now on");
                    newest.send_replace(Arc::new(catalog));
                }
                Err(error) => {
                    tracing::warn!("{error}: what was served is served on");
                }
            }
        }
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Subgraph(error) => Self::new(error.to_string()),
            CatalogError::Access(error) => Self::new(error.to_string()).code(error.code()).help(error.help()),
        }
    }
}

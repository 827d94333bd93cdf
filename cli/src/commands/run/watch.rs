//! `run --watch-config`: follows the files of an index, provisions what compiles, and has the process go on by it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use indexer::{
    provision::{Change, changes, provision, refuse_rebuilds},
    run::Reopener,
};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::plan::{Summary, what_follows},
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Examined, Project, artifacts},
};

/// How often the files are read. Two looks in a row must agree: editors write in pieces.
const LOOK: Duration = Duration::from_secs(1);

/// How long a server that wasn't reached is left alone.
const TROUBLE_PAUSE: Duration = Duration::from_secs(10);

/// The files of an index, followed.
pub(super) struct Watch<'w> {
    pub(super) file: &'w Path,
    pub(super) env: &'w Environment,
    pub(super) output: &'w Output,
    pub(super) reopener: Reopener,
}

/// What became of a change of the files.
enum Taken {
    /// Nothing more is to be done about it.
    Up,
    /// A server didn't do its part.
    Later,
}

impl Watch<'_> {
    /// Follows the files until it is stopped.
    pub(super) async fn follow(self, stop: &CancellationToken) {
        let mut known = self.look();
        let (mut before, mut pause) = (known, LOOK);
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = LOOK;
            let now = self.look();
            if now != known && now == before {
                let taken = stop.run_until_cancelled(Box::pin(self.take_up())).await;
                match taken {
                    Some(Taken::Later) => pause = TROUBLE_PAUSE,
                    Some(Taken::Up) | None => known = now,
                }
            }
            before = now;
        }
    }

    /// What tells one content of the files from another.
    fn look(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let project = Project::open(self.file, self.env);
        let files = project.as_ref().map_or_else(|_| vec![self.index_yaml()], Project::files);
        for file in files {
            std::fs::read(file).ok().hash(&mut hasher);
        }
        hasher.finish()
    }

    fn index_yaml(&self) -> PathBuf {
        crate::project::located(self.file).0
    }

    /// Provisions what the files make now, or tells why not.
    async fn take_up(&self) -> Taken {
        match self.provision().await {
            Ok(changes) => {
                let told = changes.iter().map(|change| format!("{} {}", change.kind, change.name));
                let told: Vec<String> = told.collect();
                if !told.is_empty() {
                    tracing::info!(changes = ?told, "the files changed, and what they make is provisioned");
                }
                if let Some(follows) = what_follows(&changes) {
                    self.output.say(follows.trim_end());
                }
                self.reopener.reopen();
                Taken::Up
            }
            Err(Refusal::Server(reason)) => {
                self.output.warn(&format!("the files changed, but {reason}; it is tried again"));
                Taken::Later
            }
            Err(Refusal::Files(reason)) => {
                self.output.warn(&format!("{reason}; `run` goes on with the plan that was there"));
                Taken::Up
            }
        }
    }

    /// The changes that were made.
    async fn provision(&self) -> Result<Vec<Change>, Refusal> {
        let Examined { diagnostics, result } = Project::examine(self.file, self.env).await?;
        self.output.report(&diagnostics);
        let Some((project, compiled)) = result else {
            return Err(Refusal::Files("the files changed and don't compile".to_owned()));
        };
        let (place, plan, artifacts) = (project.place(), &compiled.plan, artifacts(&compiled));
        let mut wanted = changes(&place, plan, artifacts).await?;
        refuse_rebuilds(&wanted)?;
        if !Summary::of(&wanted).is_empty() {
            provision(&place, plan, artifacts).await?;
        }
        wanted.retain(|change| change.action != indexer::provision::Action::None);
        Ok(wanted)
    }
}

/// Why nothing was provisioned.
enum Refusal {
    /// A server, which may do it later.
    Server(String),
    /// The files.
    Files(String),
}

impl From<indexer::StateError> for Refusal {
    fn from(error: indexer::StateError) -> Self {
        let (code, help) = (error.code(), error.help().unwrap_or_default());
        match error.is_of_a_server() {
            true => Self::Server(format!("{error} ({code})")),
            false => {
                Self::Files(format!("the files changed and can't be provisioned: {error} ({code}; {help})"))
            }
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Told(trouble) if trouble.exit == Exit::Unreachable => Self::Server(trouble.message),
            Failure::Told(trouble) => Self::Files(trouble.message),
            Failure::ReaderGone | Failure::Interrupted => Self::Files("they could not be read".to_owned()),
        }
    }
}

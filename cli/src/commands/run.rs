//! `run`: routes events and rebuilds documents, by the plan that provision stored.

mod watch;

use std::{net::SocketAddr, path::Path, sync::Arc};

use indexer::{
    Index,
    run::{self, Process, RunOptions},
};
use plan::IndexPlan;
use serde::Serialize;

use self::watch::Watch;
use crate::{
    args::Role,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Examined, Project},
    signals::{self, Signal},
};

impl From<Role> for run::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::All => Self::All,
            Role::Route => Self::Route,
            Role::Rebuild => Self::Rebuild,
        }
    }
}

#[derive(Serialize)]
struct Ran<'r> {
    success: bool,
    held: u64,
    dead_letters: u64,
    paused: Option<&'r str>,
    interrupted: Option<&'static str>,
}

/// How a process is to run.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Up to the ends of what is there.
    pub(crate) once: bool,
    pub(crate) role: Role,
    /// Instead of `admin.listen`.
    pub(crate) admin: Option<SocketAddr>,
    /// Follows the files.
    pub(crate) watch_config: bool,
}

/// Works until SIGTERM or SIGINT; with `once` until everything that was there at the start is done.
pub(crate) async fn run(
    file: &Path,
    Wish { once, role, admin, watch_config }: Wish,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let asked = signals::stop_on_signals();
    let project = Project::open(file, env)?;
    output.report(&project.warnings);
    let process = Process::start(&project.config.name.value, project.endpoints(admin)?).await?;
    warn_of_another_plan(file, env, process.index(), output).await;
    let (path, environment) = (file.to_owned(), env.clone());
    let process = process.rereading(Arc::new(move || {
        Project::open(&path, &environment).and_then(|project| project.endpoints(admin)).ok()
    }));
    let reopener = process.reopener();
    let running = process.run(RunOptions { once, role: role.into() }, asked.stop.clone());
    let end = if watch_config {
        let watch = Watch { file, env, output, reopener };
        let (end, ()) = tokio::join!(running, watch.follow(&asked.stop));
        end?
    } else {
        running.await?
    };
    if !once {
        return Ok(Exit::Done);
    }
    let success = end.held == 0 && end.paused.is_none() && asked.by().is_none();
    let ran = Ran {
        success,
        held: end.held,
        dead_letters: end.dead_letters,
        paused: end.paused.as_deref(),
        interrupted: asked.by().map(Signal::name),
    };
    output.answer(&ran, |paint| {
        let mut lines = Vec::new();
        if let Some(signal) = ran.interrupted {
            lines.push(paint.odd(&format!(
                "interrupted by {signal} before everything was done; the next run goes on from there"
            )));
        }
        if let Some(reason) = &end.paused {
            lines.push(paint.bad(&format!("paused: {reason}")));
        }
        if end.held > 0 {
            lines.push(paint.odd(&format!("{} documents are held: studio-search errors list", end.held)));
        }
        if end.dead_letters > 0 {
            lines.push(
                paint
                    .odd(&format!("{} events are dead letters: studio-search errors list", end.dead_letters)),
            );
        }
        if lines.is_empty() {
            lines.push("done".to_owned());
        }
        lines.join("\n")
    })?;
    Ok(match asked.by() {
        Some(signal) => signal.exit(),
        None if success => Exit::Done,
        None => Exit::Failed,
    })
}

/// Whether a plan is that of an index version beside the served one.
async fn is_beside(index: &Index, plan: &IndexPlan) -> bool {
    let versions = index.versions().await.unwrap_or_default();
    versions.iter().any(|known| known.state.is_live() && known.plan() == plan)
}

/// The stored plan is what runs. Where the files say something else, somebody has forgotten to provision.
async fn warn_of_another_plan(file: &Path, env: &Environment, index: &Index, output: &Output) {
    let provision = "`run` goes on with the plan that was provisioned";
    match Project::examine(file, env).await {
        Ok(Examined { result: Some((_, compiled)), .. })
            if compiled.plan == *index.plan || is_beside(index, &compiled.plan).await => {}
        Ok(Examined { result: Some(_), .. }) => {
            output.warn(&format!("the files make another plan than the provisioned one; {provision}"));
        }
        Ok(Examined { result: None, .. }) => {
            output.warn(&format!(
                "the files don't compile any more, see `studio-search validate`; {provision}"
            ));
        }
        Err(_) => output.warn(&format!("the files can't be compared with the plan; {provision}")),
    }
}

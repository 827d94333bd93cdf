//! `demo`: everything in one command, without a network and without another program.
//!
//! It does what a user would do: a folder with the files, a gateway (here the demo graph, on a loopback port), `provision`,
//! `run`, `backfill start --follow`, `search`. Only the graph is not real; the movies are.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use indexer::{
    Endpoints, Index,
    ledger::{BackfillIds, BackfillState},
    run::{Process, RunEnd, RunError, RunOptions},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::search::{self, Wish};
use crate::{
    demo::DemoGraph,
    demo_folder::DemoFolder,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    follow,
    output::Output,
    project::Project,
    project::artifacts,
    signals::{self, Signal},
};

/// Between two changes in the demo graph: slow enough to read, quick enough to see.
const PAUSE: Duration = Duration::from_secs(4);

/// The same life in every demo, so that what a tutorial says happens.
const SEED: u64 = 1927;

/// Ports tried for the status page before it is given up.
const PORTS: u16 = 20;

/// Makes the demo, and keeps it going until Ctrl-C; with `once` shows three searches and ends.
pub(crate) async fn demo(
    once: bool,
    port: u16,
    dir: Option<PathBuf>,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let asked = signals::stop_on_signals();
    let stop = &asked.stop;
    let folder = match &dir {
        Some(path) => DemoFolder::named(path)?,
        None if once => DemoFolder::removed()?,
        None => DemoFolder::kept()?,
    };
    let graph =
        DemoGraph::load(&folder.events()).map_err(|error| Failure::new(format!("no demo graph: {error}")))?;
    let url = serve(&graph).await?;
    folder.name_gateway(&url)?;
    let env = env.clone().with("GATEWAY_URL", url.as_str()).with("EVENTS_DIR", "./events");
    let (project, compiled) = Project::compile(folder.path(), &env, output).await?;
    indexer::provision::provision(&project.place(), &compiled.plan, artifacts(&compiled)).await?;

    let page = if once { None } else { Some(free_address(port).await?) };
    let endpoints = Endpoints { admin: page, ..project.endpoints(page)? };
    let process = Process::start(&project.config.name.value, endpoints).await?;
    let index = process.index().clone();
    let mut running = tokio::spawn(process.run(RunOptions::default(), stop.clone()));

    output.say(&format!("The demo's files are in {}, its graph answers at {url}.", folder.path().display()));
    let indexed = tokio::select! {
        early = &mut running => {
            ended(early)?;
            return Ok(asked.by().map_or(Exit::Done, Signal::exit));
        }
        indexed = fill(&index, output) => indexed,
    };
    if let Err(failure) = indexed {
        return stop_and(failure, stop, running).await;
    }
    if once {
        let shown = show_searches(&index, output).await;
        return match shown {
            Ok(()) => end(stop, running).await,
            Err(failure) => stop_and(failure, stop, running).await,
        };
    }
    propose(folder.path(), page, &url, output);
    tokio::select! {
        early = &mut running => return ended(early).map(|()| Exit::Done),
        () = stop.cancelled() => {}
        () = live(&graph, output) => {}
    }
    output.say(&format!("\nThe demo has ended. Its files stay in {}.", folder.path().display()));
    end(stop, running).await
}

/// Serves the demo graph on a free port of this machine, and gives its URL. It ends with the process.
async fn serve(graph: &DemoGraph) -> Result<String, Failure> {
    let no_port =
        |error| Failure::new(format!("no port for the demo graph: {error}")).exit(Exit::Unreachable);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_port)?;
    let address = listener.local_addr().map_err(no_port)?;
    let router = graph.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/graphql"))
}

/// The first free address for the page, from this port on.
async fn free_address(port: u16) -> Result<SocketAddr, Failure> {
    for port in port..=port.saturating_add(PORTS) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).await.is_ok() {
            return Ok(address);
        }
    }
    let failure = Failure::new(format!("the ports from {port} on are all taken")).exit(Exit::Unreachable);
    Err(failure.help("give another one with --port"))
}

/// Indexes every movie.
async fn fill(index: &Index, output: &mut Output) -> Result<(), Failure> {
    let number = index.ledger.start_backfill(BackfillIds::Enumerated).await?;
    let started = tokio::time::Instant::now();
    let end = follow::to_the_end(index, number, output).await?;
    if end.backfill.state == BackfillState::Failed {
        let reason = end.backfill.error.unwrap_or_default();
        return Err(Failure::new(format!("the movies could not be indexed: {reason}")));
    }
    let seconds = started.elapsed().as_secs_f64();
    output.say(&format!("{} movies are indexed, in {seconds:.1} s.", end.backfill.enumerated));
    Ok(())
}

/// A search of the demo, as a command and as what it means.
struct Example {
    what: &'static str,
    arguments: &'static str,
    wish: fn() -> Wish,
}

const EXAMPLES: [Example; 3] = [
    Example {
        what: "Words anywhere: in the title, or in a director's name",
        arguments: "\"jackson king\"",
        wish: || Wish { text: Some("jackson king".to_owned()), first: 5, ..Wish::default() },
    },
    Example {
        what: "Which movies in photography does this person direct? Both conditions bind ONE element of `directors`",
        arguments: r#"--filter "production.status == 'IN_PHOTOGRAPHY' AND directors[role == 'DIRECTOR' AND name MATCHES 'scorsese']""#,
        wish: || {
            let filter = "production.status == 'IN_PHOTOGRAPHY' AND directors[role == 'DIRECTOR' AND name MATCHES 'scorsese']";
            Wish { filter: Some(filter.to_owned()), first: 5, ..Wish::default() }
        },
    },
    Example {
        what: "What is in the making, the biggest budget first, counted by distributor and by status",
        arguments: "--filter \"production.status != 'RELEASED'\" --sort production.budget:desc --first 5 \
                    --facet production.distributor --facet production.status",
        wish: || Wish {
            filter: Some("production.status != 'RELEASED'".to_owned()),
            sort: vec!["production.budget:desc".to_owned()],
            facets: vec!["production.distributor".to_owned(), "production.status".to_owned()],
            first: 5,
            ..Wish::default()
        },
    },
];

async fn show_searches(index: &Index, output: &mut Output) -> Result<(), Failure> {
    for example in EXAMPLES {
        let command = format!("$ studio-search search FILE {}", example.arguments);
        output.say(&format!("\n{}\n{command}\n", output.talk_paint().strong(example.what)));
        search::answer(index, (example.wish)(), output).await?;
    }
    Ok(())
}

/// Says what to try next.
fn propose(folder: &Path, page: Option<SocketAddr>, url: &str, output: &Output) {
    let (program, folder, paint) = (program(), folder.display(), output.talk_paint());
    let edits = url.trim_end_matches("/graphql");
    if let Some(page) = page {
        output.say(&format!("\n{} http://{page}/", paint.strong("Open the page:")));
    }
    output.say(&paint.strong("Or try, in another terminal:"));
    for example in EXAMPLES {
        output.say(&format!("  {program} search {folder} {}", example.arguments));
    }
    output.say(&format!("  {program} status {folder} --watch"));
    output.say(&paint.strong("Change something, and find it a moment later:"));
    output.say(&format!(
        "  curl -s {edits}/edit/movies/m1 -H 'content-type: application/json' -d '{{\"title\": \"My first edit\"}}'"
    ));
    output.say(&format!("  {program} search {folder} \"first edit\""));
    output.say(&format!("  {program} trace {folder} m1"));
    output.say("\nMeanwhile, in the studio (Ctrl-C ends the demo):");
}

/// Lets the demo graph live, and tells what happens in it; never ends by itself.
async fn live(graph: &DemoGraph, output: &Output) {
    let tell = |happened: Result<String, _>| match happened {
        Ok(sentence) => output.say(&format!("  {sentence}")),
        Err(error) => output.warn(&format!("the demo graph could not change: {error}")),
    };
    graph.live(PAUSE, SEED, tell).await;
}

/// The program as the user called it, so that a proposed command can be pasted.
fn program() -> String {
    let called = std::env::args().next().filter(|name| name.ends_with("studio-search"));
    called.unwrap_or_else(|| "studio-search".to_owned())
}

type Running = JoinHandle<Result<RunEnd, RunError>>;

/// Stops the process and waits until what is running is finished.
async fn end(stop: &CancellationToken, running: Running) -> Result<Exit, Failure> {
    stop.cancel();
    ended(running.await)?;
    Ok(Exit::Done)
}

async fn stop_and(failure: Failure, stop: &CancellationToken, running: Running) -> Result<Exit, Failure> {
    stop.cancel();
    ended(running.await)?;
    Err(failure)
}

fn ended(result: Result<Result<RunEnd, RunError>, tokio::task::JoinError>) -> Result<(), Failure> {
    match result {
        Ok(ended) => Ok(ended.map(drop)?),
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

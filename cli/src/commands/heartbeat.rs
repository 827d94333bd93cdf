//! `audit --heartbeat`: whether what is written into each source arrives, and how long it takes.

use std::{collections::BTreeMap, path::Path, time::Duration};

use indexer::source::pulse;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    environment::Environment, exit::Exit, failure::Failure, moment::span, output::Output, paint::Paint,
    project::Project, table::Table,
};

/// How long a heartbeat may take. A group that rebalances reads nothing for some seconds.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether it arrived: processes publish what they read each second.
const LOOKS: Duration = Duration::from_millis(250);

#[derive(Serialize)]
struct Sent {
    /// Whether each that could be sent arrived.
    success: bool,
    sources: Vec<Through>,
}

/// What became of the heartbeat of one source.
#[derive(Serialize)]
struct Through {
    name: String,
    /// When it was sent, milliseconds of Unix time; nothing where none was.
    sent_at: Option<i64>,
    /// How long it was on its way; nothing where it did not arrive.
    took_ms: Option<i64>,
    /// Why none was sent.
    reason: Option<String>,
    /// Whether the source refused it.
    #[serde(skip)]
    is_refused: bool,
}

impl Through {
    fn is_awaited(&self) -> bool {
        self.sent_at.is_some() && self.took_ms.is_none()
    }

    fn text(&self, paint: Paint) -> String {
        match (self.took_ms, &self.reason) {
            (Some(took), _) => paint.good(&format!("arrived after {}", span(took))),
            (None, Some(reason)) => paint.odd(reason),
            (None, None) => paint.bad(&format!("did not arrive within {} s", ARRIVES_WITHIN.as_secs())),
        }
    }
}

/// Sends one through each source, and waits for all. It ends with 1 where one did not arrive.
pub(crate) async fn heartbeat(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    if index.ledger.figures().await?.is_empty() {
        let failure = Failure::new("nothing works on this index, so that no heartbeat would be heard");
        return Err(failure.help("start it: `studio-search run`"));
    }
    let mut sources = Vec::new();
    for source in &index.plan.sources {
        let sent = pulse::send(&index, source).await;
        let is_refused = sent.is_err();
        let (sent_at, reason) = match sent {
            Ok(Some(sent_at)) => (Some(sent_at), None),
            Ok(None) => (None, Some("not sent: only its producer writes into a file".to_owned())),
            Err(error) => (None, Some(format!("not sent: {error}"))),
        };
        sources.push(Through { name: source.name.clone(), sent_at, took_ms: None, reason, is_refused });
    }
    let started = Instant::now();
    while sources.iter().any(Through::is_awaited) && started.elapsed() < ARRIVES_WITHIN {
        tokio::time::sleep(LOOKS).await;
        let status = index.status().await?;
        let heard: BTreeMap<&str, pulse::Heartbeat> = status
            .sources
            .iter()
            .filter_map(|source| Some((&*source.name, source.pulse.heartbeat?)))
            .collect();
        for through in sources.iter_mut().filter(|through| through.is_awaited()) {
            let heard = heard.get(&*through.name).filter(|heard| Some(heard.sent_at) >= through.sent_at);
            through.took_ms = heard.map(pulse::Heartbeat::took_ms);
        }
    }
    let success = !sources.iter().any(|through| through.is_awaited() || through.is_refused);
    let sent = Sent { success, sources };
    output.answer(&sent, |paint| {
        let mut table = Table::new(&["source", "heartbeat"]);
        for through in &sent.sources {
            table.row([through.name.clone(), through.text(paint)]);
        }
        table.render(paint)
    })?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

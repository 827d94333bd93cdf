//! The arguments of `errors`: what is listed, shown, replayed or dropped.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use indexer::log::LetterNumber;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum Errors {
    /// List held documents, and events that could not be understood
    List {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Count them instead; no subgraph is to blame for a dead letter
        #[arg(long, value_enum, value_name = "WHAT")]
        by: Option<By>,
        #[command(flatten)]
        wanted: Selection,
    },
    /// Show one held document, or one dead letter with its record, and how to mend it
    Show {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        #[command(flatten)]
        one: One,
    },
    /// Fetch held documents again now, and understand dead letters again by the provisioned plan
    ///
    /// A dead letter is taken as if its event arrived now: what it asks for goes into the log, and then it is a dead letter no
    /// more. What still can't be understood stays one, and is told. To replay twice does no harm.
    Replay {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        #[command(flatten)]
        wanted: Selection,
        /// Everything that is held, and all dead letters
        #[arg(long)]
        all: bool,
    },
    /// Forget dead letters
    Drop {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        #[command(flatten)]
        wanted: Selection,
        /// All dead letters
        #[arg(long)]
        all: bool,
        /// Forget held documents, too: their last good content stays, which may be stale, and nobody fetches them again before
        /// their next event or a backfill
        #[arg(long)]
        forget_held: bool,
    },
}

/// Which held documents and dead letters are meant. What names only one kind leaves the other out.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Selection {
    /// This dead letter, by its number in the list; may be repeated
    #[arg(long = "number", value_name = "N")]
    pub(crate) numbers: Vec<LetterNumber>,
    /// Dead letters of this source
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// This held document; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Documents that this subgraph made fail
    #[arg(long, value_name = "SUBGRAPH")]
    pub(crate) subgraph: Option<String>,
    /// What has this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
}

impl Selection {
    /// Whether nothing is named, which means everything where that is allowed.
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
            && self.ids.is_empty()
            && self.source.is_none()
            && self.subgraph.is_none()
            && self.code.is_none()
    }
}

/// The one that is shown.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct One {
    /// This dead letter, by its number in the list
    #[arg(long, value_name = "N")]
    pub(crate) number: Option<LetterNumber>,
    /// This held document
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// What errors are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    /// The subgraph that failed
    Subgraph,
    /// The diagnostic code, or the gateway's
    Code,
}

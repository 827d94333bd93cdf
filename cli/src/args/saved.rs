//! The arguments of `saved`: what is saved, removed or matched.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Saved {
    /// Save a filter under a name, in the place of one that has it already
    ///
    /// A `run` that works on the index takes it up within seconds. It tells nothing of the documents that match already; `search --filter`
    /// finds them. From then on a document that begins to match is logged, counted, and posted to `search.saved.webhook`.
    Add {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it is called
        #[arg(value_name = "NAME")]
        name: String,
        /// A condition, such as `production.status == 'WRAPPED'`
        #[arg(value_name = "FILTER")]
        filter: String,
    },
    /// List saved searches, and what is wrong with those that don't fit the served plan
    List {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Forget a saved search, and what waits to be posted of it
    Remove {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it is called
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say which saved searches a document matches
    Match {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        #[command(flatten)]
        document: Which,
    },
}

/// The document that is matched.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// A file with the document as JSON, in the shape of the indexing query's answer
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// A document of the index
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

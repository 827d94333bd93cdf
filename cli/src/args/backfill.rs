//! The arguments of `backfill`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Backfill {
    /// Record a backfill; `run` does it
    Start {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Only this document; may be repeated
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        /// Only documents of the index that this filter finds
        #[arg(long = "where", value_name = "FILTER", conflicts_with = "ids")]
        filter: Option<String>,
        /// Do not wait for a window of `backfill.windows`; the whole backfill lane goes on with it
        #[arg(long)]
        now: bool,
        /// Documents a second at most, such as 40/s, instead of `backfill.rate`
        #[arg(long, value_name = "RATE")]
        rate: Option<String>,
        /// Show its progress until it is done
        #[arg(long)]
        follow: bool,
        /// Fill an index version beside the served one
        ///
        /// The one that `provision` made for another query: it begins when every `run` writes that version, by the ids that its
        /// own plan names, and every document is asked for by both queries. Where the query is unchanged another version is made,
        /// which `run` fills from the served one without a request to the gateway. It never promotes.
        #[arg(long, conflicts_with_all = ["ids", "filter"])]
        into_new_version: bool,
        /// Start nothing: count ids, fetch a few documents, and tell what all of them would cost
        ///
        /// Requests, calls and bytes by subgraph, time, windows, memory and the size of the index, each with the interval that
        /// holds in nine of ten cases. The few documents are fetched at once, also outside of the windows.
        #[arg(long, conflicts_with = "follow")]
        estimate: bool,
        /// Documents that an estimate fetches
        #[arg(long, value_name = "N", default_value_t = 100, requires = "estimate",
            value_parser = clap::value_parser!(u32).range(1..=10_000))]
        sample: u32,
    },
    /// Show the newest backfill
    Status {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Again each second, until it is done
        #[arg(long)]
        watch: bool,
    },
    /// Fetch nothing of the backfill lane until `backfill resume`
    ///
    /// Live changes go on. Large fan-outs and snapshots, which go through the same lane, wait too. Nothing is lost.
    Pause {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Go on with the backfill lane
    Resume {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// End all open backfills; what they have not rebuilt stays as it is
    Stop {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Show all backfills
    List {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
}

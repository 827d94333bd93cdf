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

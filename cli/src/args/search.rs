//! The arguments of `search`.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Words that a document must hold
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// A condition, such as `production.status == 'WRAPPED'`
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Count the values of a field; may be repeated
    #[arg(long = "facet", value_name = "PATH")]
    pub(crate) facets: Vec<String>,
    /// Over which documents values are counted
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    pub(crate) facet_counts: Counts,
    /// Sort by a field, `releaseDate` or `releaseDate:desc`; may be repeated
    #[arg(long = "sort", value_name = "PATH[:desc]")]
    pub(crate) sort: Vec<String>,
    /// How many hits to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) first: usize,
    /// Go on after the last hit of another answer
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Show how the store was asked, and what each score is made of
    #[arg(long)]
    pub(crate) explain: bool,
    /// Suggest values of the declared fields that hold this, the last word perhaps unfinished
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["text", "facets", "facet_counts", "sort", "after", "explain"])]
    pub(crate) suggest: Option<String>,
}

/// The documents that values of facets are counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Counts {
    /// Those that match
    #[default]
    Matching,
    /// Those that match without what the filter says of the facet's own field
    Alternatives,
}

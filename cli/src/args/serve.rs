//! The arguments of `serve`.

use std::{net::SocketAddr, path::PathBuf};

/// `POST /graphql` is a subgraph whose hits are keys of entities, so that the gateway fills in any field; `generate subgraph` writes
/// its schema. `/openapi.json` describes the rest. A port that leaves loopback wants a token of `serve.tokens`. Where several
/// files are served, `serve:` of the first one says how.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Configurations, or folders that hold one
    #[arg(value_name = "FILE", default_value = ".")]
    pub(crate) files: Vec<PathBuf>,
    /// Where it listens, instead of `serve.listen`
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

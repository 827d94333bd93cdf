//! The commands: a file each, one free function, its inputs as arguments, a typed exit.

pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod errors;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod heartbeat;
pub(crate) mod init;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod provision;
pub(crate) mod run;
pub(crate) mod saved;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod trace;
pub(crate) mod validate;

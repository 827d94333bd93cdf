//! What codegen proves and everything else runs: the plan of one index, without any I/O.
//!
//! Folders of nouns: [`IndexPlan`] and its parts, the field tree, document ids and versions, records and the
//! paths into them, diagnostics, and the filter language with its meaning ([`filter`]).

mod access_plan;
mod audit_plan;
mod checks_plan;
pub mod code;
pub mod coverage_plan;
pub mod diagnostic;
pub mod field;
pub mod filter;
pub mod id;
pub mod index_plan;
pub mod kafka_plan;
pub mod record;
mod search_plan;
mod store_kind;
pub mod version;
pub mod window;

pub use code::Code;
pub use diagnostic::{Diagnostic, Severity, SourceText};
pub use field::{Field, FieldKind, FieldTree, Mapping};
pub use id::{DocumentId, IdKind};
pub use index_plan::{IndexPlan, SourcePlan};
pub use kafka_plan::KafkaPlan;
pub use record::{Record, RecordPath};
pub use version::{DocumentVersion, Epoch};

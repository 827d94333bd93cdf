//! The running demo graph: tables behind a lock, the schema that reads them, the files that are told.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use super::edits::{self, Edit, EditError};
use super::events::{EventFiles, Told};
use super::routes;
use super::schema::{self, Schema};
use super::tables::Tables;

const NO_PANIC: &str = "no edit panics half way";

/// The demo graph. Clones are handles to the same graph.
#[derive(Clone)]
pub(crate) struct DemoGraph {
    tables: Arc<RwLock<Tables>>,
    events: Arc<Mutex<EventFiles>>,
    schema: Schema,
}

impl DemoGraph {
    /// The graph as the data files have it. Makes `events_dir` and in it the four files that edits are told in, where they are missing.
    pub(crate) fn load(events_dir: &Path) -> io::Result<Self> {
        let events = Arc::new(Mutex::new(EventFiles::open(events_dir)?));
        let tables = Arc::new(RwLock::new(Tables::load()));
        let schema = schema::build(Arc::clone(&tables));
        Ok(Self { tables, events, schema })
    }

    /// `POST /graphql` and the edit routes, which `routes.rs` lists.
    pub(crate) fn router(&self) -> axum::Router {
        routes::router(self.clone())
    }

    /// Makes an edit and tells of it. The graph shows the edit before the event can be read; events stand in the order of the edits.
    pub(crate) fn edit(&self, edit: Edit) -> Result<Vec<Told>, EditError> {
        let mut events = self.events.lock().expect(NO_PANIC);
        let changes = edits::apply(&mut self.tables.write().expect(NO_PANIC), edit)?;
        events.append(&changes).map_err(EditError::Untold)
    }

    /// Answers a GraphQL request.
    pub(super) async fn execute(&self, request: async_graphql::Request) -> async_graphql::Response {
        self.schema.execute(request).await
    }

    #[cfg(test)]
    pub(super) fn sdl(&self) -> String {
        self.schema.sdl()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().expect(NO_PANIC)
    }
}

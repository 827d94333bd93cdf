//! The Python module: the command line as one function, and the commands as functions that return what `-o json` prints.
//!
//! The one file that names `PyO3`.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pyo3::{create_exception, exceptions::PyException, prelude::*};

use crate::{
    answer,
    args::{Backfill, Command, Counts, Errors, Search, Selection},
    environment::Environment,
    failure::Failure,
    output::Output,
};

/// How often Python is asked whether Ctrl-C was pressed.
const SIGNALS: Duration = Duration::from_millis(100);

create_exception!(studio_search, StudioSearchError, PyException, "Why a command failed.");

/// The compiled half of the package `studio_search`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{StudioSearchError, backfill, errors, main, plan, provision, search, status, validate};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// The command line; gives the exit code.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    py.detach(|| crate::run(argv).code())
}

#[pyfunction]
fn validate(py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
    ask(py, Command::Validate { paths: vec![path], deny_warnings: false })
}

#[pyfunction]
fn plan(py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
    ask(py, Command::Plan { file: path, out: None, detailed_exitcode: false })
}

#[pyfunction]
#[pyo3(signature = (path, *, yes = false))]
fn provision(py: Python<'_>, path: PathBuf, yes: bool) -> PyResult<Py<PyAny>> {
    ask(py, Command::Provision { file: path, yes, dry_run: !yes, plan: None })
}

#[pyfunction]
#[pyo3(signature = (path, text = None, *, filter = None, facets = None, sort = None, first = 10, after = None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
fn search(
    py: Python<'_>,
    path: PathBuf,
    text: Option<String>,
    filter: Option<String>,
    facets: Option<Vec<String>>,
    sort: Option<Vec<String>>,
    first: usize,
    after: Option<String>,
) -> PyResult<Py<PyAny>> {
    let (facets, sort) = (facets.unwrap_or_default(), sort.unwrap_or_default());
    let facet_counts = Counts::default();
    let search = Search {
        file: path,
        text,
        filter,
        facets,
        facet_counts,
        sort,
        first,
        after,
        explain: false,
        suggest: None,
    };
    ask(py, Command::Search(search))
}

#[pyfunction]
#[pyo3(signature = (path, *, ids = None, follow = false, into_new_version = false))]
fn backfill(
    py: Python<'_>,
    path: PathBuf,
    ids: Option<Vec<String>>,
    follow: bool,
    into_new_version: bool,
) -> PyResult<Py<PyAny>> {
    let ids = ids.unwrap_or_default();
    ask(
        py,
        Command::Backfill(Backfill::Start {
            file: path,
            ids,
            filter: None,
            now: false,
            rate: None,
            follow,
            into_new_version,
            estimate: false,
            sample: 100,
        }),
    )
}

#[pyfunction]
fn status(py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
    ask(py, Command::Status { files: vec![path], watch: false, check: false })
}

#[pyfunction]
fn errors(py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
    ask(py, Command::Errors(Errors::List { file: path, by: None, wanted: Selection::default() }))
}

/// Does a command without Python's lock, and gives the data of its envelope. Ctrl-C ends it.
fn ask(py: Python<'_>, command: Command) -> PyResult<Py<PyAny>> {
    let answered = Memory::default();
    let mut output = Output::into_memory(answered.clone());
    let env = Environment::default();
    // One thread and one runtime a call: a process that was forked meanwhile has no threads of ours to miss.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    py.detach(|| {
        runtime.block_on(async {
            tokio::select! {
                result = answer(command, &env, &mut output) => {
                    result.map(drop).map_err(|failure| Python::attach(|py| raised(py, failure)))
                }
                interrupted = ctrl_c() => Err(interrupted),
            }
        })
    })?;
    drop(output);
    let envelope = py.import("json")?.call_method1("loads", (answered.into_text(),))?;
    Ok(envelope.get_item("data")?.unbind())
}

/// Waits until Python was asked to stop. Only its main thread learns of that.
async fn ctrl_c() -> PyErr {
    loop {
        tokio::time::sleep(SIGNALS).await;
        let asked: PyResult<()> = Python::attach(|py: Python<'_>| Python::check_signals(py));
        if let Err(interrupted) = asked {
            return interrupted;
        }
    }
}

fn raised(py: Python<'_>, failure: Failure) -> PyErr {
    let Failure::Told(trouble) = failure else { return StudioSearchError::new_err("interrupted") };
    let error = StudioSearchError::new_err(trouble.message.clone());
    let value = error.value(py);
    let attributes = value
        .setattr("code", trouble.code.map(|code| code.id))
        .and_then(|()| value.setattr("help", trouble.mend()))
        .and_then(|()| value.setattr("causes", trouble.all_causes()));
    attributes.err().unwrap_or(error)
}

/// What a command wrote.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn into_text(self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

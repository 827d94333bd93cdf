//! Why a command ended otherwise than well: what a person, a script and the operating system are told.

use std::{error::Error, io};

use indexer::{StateError, audit::AuditError, graph::GraphError, run::RunError};
use plan::{Code, Diagnostic, code};

use crate::{exit::Exit, lines::Shelf, report};

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Told(Box<Trouble>),
    /// Whoever read stdout went away, as `head` does. There is nobody to tell, and nothing is wrong.
    ReaderGone,
    /// Ctrl-C.
    Interrupted,
}

/// A failure with all that is known about it.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) code: Option<Code>,
    /// One line, without a full stop.
    pub(crate) message: String,
    /// What lies below it, from the outside in.
    pub(crate) causes: Vec<String>,
    pub(crate) help: Option<String>,
    /// What was found wrong in the user's texts. Where there are any, they are the report.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Trouble {
    /// What lies below it, and what was found in the user's texts, each with its place.
    pub(crate) fn all_causes(&self) -> Vec<String> {
        let mut texts = Shelf::of(&self.diagnostics);
        let found = self.diagnostics.iter().map(|diagnostic| match report::place(diagnostic, &mut texts) {
            Some(place) => format!("{place}: {} ({})", diagnostic.message, diagnostic.code),
            None => format!("{} ({})", diagnostic.message, diagnostic.code),
        });
        self.causes.iter().cloned().chain(found).collect()
    }

    /// How to mend it.
    pub(crate) fn mend(&self) -> Option<&str> {
        self.help.as_deref().or_else(|| self.diagnostics.first()?.help.as_deref())
    }
}

impl Failure {
    /// An operation failed.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Told(Box::new(Trouble {
            exit: Exit::Failed,
            code: None,
            message: message.into(),
            causes: Vec::new(),
            help: None,
            diagnostics: Vec::new(),
        }))
    }

    /// The command was called in a way that it can't be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).exit(Exit::Usage)
    }

    /// The user's texts are wrong.
    pub(crate) fn of_diagnostics(diagnostics: Vec<Diagnostic>) -> Self {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let first = errors.clone().next();
        let message = match (first, errors.count()) {
            (Some(first), 1) => first.message.clone(),
            (_, count) => format!("{count} errors"),
        };
        let code = first.map(|first| first.code);
        Self::new(message).with(|trouble| {
            trouble.code = code;
            trouble.diagnostics = diagnostics;
        })
    }

    /// Ends the command with another exit code.
    pub(crate) fn exit(self, exit: Exit) -> Self {
        self.with(|trouble| trouble.exit = exit)
    }

    /// Names the page that `explain` shows.
    pub(crate) fn code(self, code: Code) -> Self {
        self.with(|trouble| trouble.code = Some(code))
    }

    /// Says how to mend it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        let help = help.into();
        self.with(|trouble| trouble.help = Some(help))
    }

    fn with(mut self, change: impl FnOnce(&mut Trouble)) -> Self {
        if let Self::Told(trouble) = &mut self {
            change(trouble);
        }
        self
    }

    /// An error of a crate below, with its code and the exit that follows from it.
    pub(crate) fn of_error(error: &dyn Error, code: Code, help: Option<&str>) -> Self {
        Self::new(error.to_string()).with(|trouble| {
            trouble.exit = exit_of(code);
            trouble.code = Some(code);
            trouble.causes = causes(error);
            trouble.help = help.map(str::to_owned);
        })
    }
}

/// The sources of an error, without those that the text above them tells already.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !told.contains(&text) {
            causes.push(text.clone());
            told = text;
        }
        next = source.source();
    }
    causes
}

/// Whether something was unreachable, which may be over later, or the input is wrong, which is not.
pub(crate) fn exit_of(code: Code) -> Exit {
    use code::{fetch, kafka, store};
    let unreachable = [
        store::SS501,
        store::SS503,
        store::SS508,
        store::SS509,
        fetch::SS401,
        fetch::SS403,
        fetch::SS405,
        kafka::SS303,
        kafka::SS320,
        code::search::SS714,
    ];
    if unreachable.contains(&code) { Exit::Unreachable } else { Exit::Failed }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::of_error(&error, error.code(), error.help())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let failure = Self::of_error(&error, error.code(), error.help());
        match error {
            // The text of a header or a certificate is wrong; nothing was reached for.
            RunError::Endpoint(_) => failure.exit(Exit::Failed),
            _ => failure,
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Self::of_error(&error, error.code(), error.help())
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Self::of_error(&error, error.code(), Some(error.help()))
    }
}

/// Only stdout is written with `?` on an [`io::Error`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::new(format!("the result can't be written: {error}")),
        }
    }
}

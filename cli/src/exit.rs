//! The exit codes, in one place: scripts and CI are written against them.

/// How a command ended. The numbers are part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A check or an operation failed.
    Failed = 1,
    /// There are changes: `plan --detailed-exitcode`.
    Changes = 2,
    /// The command was called in a way that it can't be.
    Usage = 64,
    /// Something needed is unreachable.
    Unreachable = 69,
    /// A bug in studio-search.
    Bug = 70,
    /// Ctrl-C, or another SIGINT.
    Interrupted = 130,
}

impl Exit {
    /// The number that the operating system gets.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

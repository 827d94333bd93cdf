//! A panic is a bug of ours: it says so, where, and where to report it, and ends with its own exit code.

use std::{io::Write, panic::AssertUnwindSafe};

use crate::exit::Exit;

/// Where bugs are reported.
const ISSUES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");

/// Does the work; where it panics, a friendly report goes to stderr and the exit is [`Exit::Bug`].
pub(crate) fn told_as_bugs(work: impl FnOnce() -> Exit) -> Exit {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = match std::env::var_os("RUST_BACKTRACE") {
            Some(_) => format!("{}\n", std::backtrace::Backtrace::force_capture()),
            None => String::new(),
        };
        let _ = writeln!(
            std::io::stderr(),
            "studio-search {} has met a bug in itself: {message}\n  at {place}\n{backtrace}  Nothing half-written is kept. \
             Please report it with this text: {ISSUES}",
            env!("CARGO_PKG_VERSION"),
        );
    }));
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Exit::Bug)
}

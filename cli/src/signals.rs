//! What the operating system asks of a process: to drain and end, and the second time to end at once.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// What asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Another program.
    Terminate,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// How a command ends that this kept from being done.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            // Not 0: what was asked for isn't done.
            Self::Terminate => Exit::Failed,
        }
    }
}

/// Whether the process was asked to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    first: Arc<OnceLock<Signal>>,
    /// Cancelled by the first signal. Whoever gets a clone may cancel it, too, so it doesn't tell who asked.
    pub(crate) stop: CancellationToken,
}

impl Asked {
    /// The first signal, if there was one.
    pub(crate) fn by(&self) -> Option<Signal> {
        self.first.get().copied()
    }
}

/// Lets the first SIGTERM or SIGINT stop what runs. The second one ends the process at once: nothing is lost, because
/// what was not committed is done again.
pub(crate) fn stop_on_signals() -> Asked {
    let asked = Asked::default();
    let told = asked.clone();
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        let _ = told.first.set(signals.next().await);
        tracing::info!("asked to stop: what is running is finished first; ask again to end at once");
        told.stop.cancel();
        let second = signals.next().await;
        std::process::exit(second.exit().code().into());
    });
    asked
}

/// Listens from the moment it is made, so that no signal falls between two waits.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        const CAN_BE_HANDLED: &str = "the system refuses handlers only for SIGKILL and SIGSTOP";
        Self {
            terminate: signal(SignalKind::terminate()).expect(CAN_BE_HANDLED),
            interrupt: signal(SignalKind::interrupt()).expect(CAN_BE_HANDLED),
        }
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) -> Signal {
        // Without a console there is no Ctrl-C, and nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}

//! What the operating system asks of a process: to drain and end, and the second time to end at once.

use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// A token that the first SIGTERM or SIGINT cancels. The second one ends the process at once: nothing is lost, because
/// what was not committed is done again.
pub(crate) fn stop_on_signals() -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("asked to stop: what is running is finished first; ask again to end at once");
        asked.cancel();
        signals.next().await;
        std::process::exit(Exit::Interrupted.code().into());
    });
    stop
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

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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

    async fn next(&mut self) {
        // Without a console there is no Ctrl-C, and nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

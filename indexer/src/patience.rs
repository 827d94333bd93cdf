//! What a server can't do now is tried again until it can, where someone is there to wait for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

#[cfg(test)]
use crate::run::simulation::servers::Road;
use crate::{StateError, heartbeat};

/// The first pause before a server is asked again. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause: a server that is back is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a caller waits for a server: not at all, or until it is stopped.
#[derive(Clone, Default)]
pub(crate) struct Patience {
    stop: Option<CancellationToken>,
    /// The way to the server, where it is a simulated one.
    #[cfg(test)]
    road: Option<Road>,
}

impl Patience {
    /// Waits until this is cancelled.
    pub(crate) fn until(stop: CancellationToken) -> Self {
        Self {
            stop: Some(stop),
            #[cfg(test)]
            road: None,
        }
    }

    /// The same over a road on which requests and answers get lost.
    #[cfg(test)]
    pub(crate) fn over(self, road: Road) -> Self {
        Self { road: Some(road), ..self }
    }

    /// Tries until it is done, or fails for another reason than a server's.
    pub(crate) async fn try_until_done<T, F: Future<Output = Result<T, StateError>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, StateError> {
        let mut pause = FIRST_PAUSE;
        loop {
            heartbeat::beat();
            let error = match self.carry(attempt()).await {
                Err(error) if error.is_of_a_server() => error,
                done => return done,
            };
            let Some(stop) = self.stop.as_ref().filter(|stop| !stop.is_cancelled()) else {
                return Err(error);
            };
            if pause == FIRST_PAUSE || pause == LONGEST_PAUSE {
                tracing::warn!(code = error.code().id, "{error}; it is waited for");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(error),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn carry<T>(&self, attempt: impl Future<Output = Result<T, StateError>>) -> Result<T, StateError> {
        #[cfg(test)]
        if let Some(road) = &self.road {
            return road.carry(attempt).await;
        }
        attempt.await
    }
}

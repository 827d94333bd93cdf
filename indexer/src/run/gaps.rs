//! Records of a topic that expired before they were read: told, and answered as the source says, never skipped silently.

use std::{sync::Arc, time::Duration};

use plan::{code::kafka::SS312, kafka_plan::OnGap};

use super::{RunError, topics::TopicRouting};
use crate::{
    kafka::{Gap, Share},
    ledger::{self, BackfillIds, IndexState},
};

/// How often gaps are looked for.
pub(super) const POLL: Duration = Duration::from_secs(1);

impl TopicRouting {
    /// Answers the gaps of a share. One that waits for a person is looked at again.
    pub(super) async fn close_gaps(&self, share: &Arc<Share>, told: &mut Vec<Gap>) -> Result<(), RunError> {
        for gap in share.gaps() {
            let is_told = told.contains(&gap);
            if self.is_closed(&gap, is_told).await? {
                share.go_on_from_oldest(&gap.topic, gap.partition);
                told.retain(|other| *other != gap);
            } else if !is_told {
                told.push(gap);
            }
        }
        Ok(())
    }

    /// Does what the source of a gap says; whether reading may go on after it.
    async fn is_closed(&self, gap: &Gap, is_told: bool) -> Result<bool, RunError> {
        let index = &self.process.index;
        let Some(source) = self.source_of(&gap.topic) else { return Ok(true) };
        let Gap { topic, partition, wanted, oldest, .. } = gap;
        let what = format!(
            "{}: {topic}, partition {partition}: the records from offset {wanted} to {oldest} expired before they were read",
            source.name
        );
        let can_backfill = index.plan.backfill.ids.is_some();
        match source.on_gap {
            OnGap::Pause => {}
            OnGap::Audit | OnGap::Backfill if !can_backfill => {}
            OnGap::Audit | OnGap::Backfill => {
                tracing::error!(code = SS312.id, "{what}; every document is fetched anew");
                index.ledger.start_backfill(BackfillIds::Enumerated).await?;
                return Ok(true);
            }
        }
        if !is_told {
            let mend =
                "`studio-search resume` goes on with what is left, and a full backfill finds what was missed";
            ledger::halt(&*index.ledger, SS312, format!("{what}; {mend}")).await?;
            return Ok(false);
        }
        let state = index.ledger.state().await?;
        Ok(!matches!(state, IndexState::Failed { code, .. } if code == SS312.id))
    }
}

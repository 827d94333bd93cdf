//! Records of a topic that expired before they were read: told, and answered as the source says, never skipped silently.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plan::{code::kafka::SS312, kafka_plan::OnGap};

use super::{RunError, topics::TopicRouting};
use crate::{
    audit::AuditKind,
    kafka::{Gap, Share},
    ledger::{self, BackfillIds, IndexState},
    log::{Append, Progress, ReindexLog},
    source::{
        Position,
        topic::{Leaps, TopicPosition},
    },
};

/// How often gaps are looked for.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// The gaps of one share.
#[derive(Default)]
pub(super) struct Gaps {
    /// Those that wait for a person.
    told: Vec<Gap>,
    /// Those that are answered, and that the reader has not yet gone past.
    answered: Vec<Gap>,
    /// How the reader of each topic is told that it goes on after one.
    pub leaps: BTreeMap<Arc<str>, Leaps>,
}

impl TopicRouting {
    /// Answers the gaps of a share. One that waits for a person is looked at again.
    pub(super) async fn close_gaps(&self, share: &Arc<Share>, gaps: &mut Gaps) -> Result<(), RunError> {
        let found = share.gaps();
        gaps.answered.retain(|gap| found.contains(gap));
        for gap in found {
            if gaps.answered.contains(&gap) {
                continue;
            }
            let is_told = gaps.told.contains(&gap);
            if self.is_closed(&gap, is_told).await? {
                self.go_on_after(&gap, share, gaps).await?;
                gaps.told.retain(|other| *other != gap);
                gaps.answered.push(gap);
            } else if !is_told {
                gaps.told.push(gap);
            }
        }
        Ok(())
    }

    /// Reads on from what is there, and remembers that, though no record may ever follow: the next process would ask again.
    async fn go_on_after(&self, gap: &Gap, share: &Arc<Share>, gaps: &Gaps) -> Result<(), RunError> {
        if let Some(leaps) = gaps.leaps.get(&gap.topic) {
            leaps.tell(gap);
        }
        share.go_on_from_oldest(&gap.topic, gap.partition);
        let Some(source) = self.source_of(&gap.topic) else { return Ok(()) };
        let topic = Some(TopicPosition::after(gap, share));
        let progress =
            Progress { source: source.name.clone(), position: Position { topic, ..Position::default() } };
        Ok(self.log.append(Append { progress: Some(progress), ..Append::default() }).await?)
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
            OnGap::Audit => {
                tracing::error!(
                    code = SS312.id,
                    "{what}; everything is audited, and what differs is fetched anew"
                );
                index.ledger.save_audit(&AuditKind::AfterGap.begin()).await?;
                return Ok(true);
            }
            OnGap::Backfill => {
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

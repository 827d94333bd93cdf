//! `backfill:`, `errors:`, `freshness:` and `audit:` — how fast, how patient, how strict.

use std::collections::BTreeMap;

use plan::{
    RecordPath,
    code::config as codes,
    index_plan::{AuditPlan, BackOff, ErrorPolicy, Every, FreshnessPolicy, NotFoundPolicy, PartialPolicy},
    window::Window,
};

use super::{
    checks::{self, ChecksConfig},
    kafka::{self, KafkaPart},
    reader::{Item, Located, Reader, Section},
    sources::{self, CoverageException, Freshness},
    windows, without_effect,
};

/// Where ids come from and how fast a backfill goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackfillConfig {
    /// Where ids come from.
    pub ids: Option<IdsConfig>,
    /// Documents a second at most.
    pub rate_per_second: Option<f64>,
    /// When it may go on; empty: always.
    pub windows: Vec<Window>,
    /// When it waits for the gateway to get better.
    pub back_off: BackOff,
    /// What must hold before a new index version is served.
    pub checks: ChecksConfig,
}

/// Where a backfill's ids come from. Paths are as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdsConfig {
    /// The file of a query to the gateway.
    Query(Located<String>),
    /// A file with one id a line.
    File(Located<String>),
    /// The ids of a topic's records.
    Topic {
        /// Its name.
        topic: Located<String>,
        /// Where a record holds the id.
        id: RecordPath,
    },
    /// What is indexed already.
    Index,
}

/// What to do with errors in answers, and when to warn of staleness.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyConfig {
    /// Errors in answers.
    pub errors: ErrorPolicy,
    /// When `status` warns.
    pub freshness: FreshnessPolicy,
    /// When index and graph are compared. Without `audit:` they are where an entity is kept fresh by that.
    pub audit: Option<AuditPlan>,
    /// The topic of events that could not be understood; `None`: one that is called after the index.
    pub dead_letters: Option<Located<String>>,
}

pub(super) fn read_backfill(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    kafka: &KafkaPart,
) -> BackfillConfig {
    let Some(mut backfill) = file.section(reader, "backfill") else { return BackfillConfig::default() };
    let ids = backfill.take("ids").and_then(|item| read_ids(reader, &item, kafka));
    let rate_per_second = backfill.read(reader, "rate", Reader::rate);
    let windows = backfill.take("windows").map(|item| windows::read(reader, &item)).unwrap_or_default();
    let mut back_off = BackOff::default();
    if let Some(mut when) = backfill.section(reader, "back_off_when") {
        back_off.p95_latency_ms = when.read(reader, "p95_latency", Reader::duration);
        back_off.error_rate = when.read(reader, "error_rate", Reader::share);
        when.finish(reader);
    }
    let checks = backfill.take("checks").map(|item| checks::read(reader, &item)).unwrap_or_default();
    backfill.finish(reader);
    BackfillConfig { ids, rate_per_second, windows, back_off, checks }
}

fn read_ids(reader: &mut Reader<'_>, item: &Item<'_>, kafka: &KafkaPart) -> Option<IdsConfig> {
    let mut ids = reader.section(item)?;
    let (query, file) = (ids.take("query"), ids.take("file"));
    let (topic, index) = (ids.take("topic"), ids.take("index"));
    let id = topic.as_ref().and_then(|_| ids.read(reader, "id", sources::read_record_path));
    ids.finish(reader);
    let given = [&query, &file, &topic, &index].into_iter().flatten().count();
    if given != 1 {
        let message = format!("`backfill.ids` names {given} places for ids");
        reader.error(
            codes::SS110,
            &item.range,
            message,
            "give exactly one of `query: FILE`, `file: FILE`, `topic: NAME`, `index: true`",
        );
        return None;
    }
    if let Some(topic) = topic {
        sources::needs_kafka(reader, &topic, kafka, "`query: FILE` or `file: FILE`");
        let topic = kafka::read_topic(reader, &topic)?;
        let id = id.or_else(|| RecordPath::parse("key").ok())?;
        return Some(IdsConfig::Topic { topic, id });
    }
    if let Some(query) = query {
        return reader.filled_text(&query).map(IdsConfig::Query);
    }
    if let Some(file) = file {
        return reader.filled_text(&file).map(IdsConfig::File);
    }
    index.and_then(|index| reader.boolean(&index)).filter(|&on| on).map(|_| IdsConfig::Index)
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    kafka: &KafkaPart,
    coverage: &[CoverageException],
) -> PolicyConfig {
    let (errors, dead_letters) = read_errors(reader, file, kafka);
    let freshness = read_freshness(reader, file);
    let audit = read_audit(reader, file, coverage);
    PolicyConfig { errors, freshness, audit, dead_letters }
}

fn read_errors(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    kafka: &KafkaPart,
) -> (ErrorPolicy, Option<Located<String>>) {
    let mut policy = ErrorPolicy {
        partial: PartialPolicy::Hold,
        not_found: NotFoundPolicy::Delete,
        not_found_codes: vec!["NOT_FOUND".into()],
        max_gone: 0.05,
        retry_initial_ms: 1_000,
        retry_max_ms: 300_000,
        auto_replay: true,
        owners: BTreeMap::new(),
    };
    let Some(mut errors) = file.section(reader, "errors") else { return (policy, None) };
    let partial = [("hold", PartialPolicy::Hold), ("index", PartialPolicy::Index)];
    policy.partial =
        errors.read(reader, "partial", |r, item| r.word(item, &partial)).unwrap_or(policy.partial);
    let not_found = [("delete", NotFoundPolicy::Delete), ("ignore", NotFoundPolicy::Ignore)];
    policy.not_found =
        errors.read(reader, "not_found", |r, item| r.word(item, &not_found)).unwrap_or(policy.not_found);
    if let Some(codes) = errors.read(reader, "not_found_codes", Reader::texts) {
        policy.not_found_codes = codes.into_iter().map(|code| code.value).collect();
    }
    policy.max_gone = errors.read(reader, "max_gone", Reader::share).unwrap_or(policy.max_gone);
    if let Some(mut retry) = errors.section(reader, "retry") {
        if let Some(attempts) = retry.take("attempts") {
            reader.integer(&attempts, 1..=1_000_000);
            let consequence = "a held document is tried until it succeeds, at most once in `retry.max`";
            without_effect(reader, &attempts, "`errors.retry.attempts`", consequence);
        }
        policy.retry_initial_ms =
            retry.read(reader, "initial", Reader::duration).unwrap_or(policy.retry_initial_ms);
        let max = retry.take("max");
        policy.retry_max_ms =
            max.as_ref().and_then(|item| reader.duration(item)).unwrap_or(policy.retry_max_ms);
        if policy.retry_max_ms < policy.retry_initial_ms {
            let range = max.map_or(retry.range.clone(), |item| item.range);
            let message = "`errors.retry.max` is shorter than `errors.retry.initial`".to_owned();
            reader.error(codes::SS121, &range, message, "pauses grow from `initial` to `max`");
        }
        retry.finish(reader);
    }
    let mut dead_letters = None;
    if let Some(item) = errors.take("dead_letter") {
        if let Some(mut dead_letter) = reader.section(&item) {
            dead_letters = dead_letter.read(reader, "topic", kafka::read_topic);
            dead_letter.finish(reader);
        }
        // In a part of a file, `kafka:` stands elsewhere.
        if kafka.place.is_none() && reader.is_whole() {
            let consequence =
                "without `kafka:` dead letters are kept in the ledger: `studio-search errors list`";
            without_effect(reader, &item, "`errors.dead_letter`", consequence);
        }
    }
    policy.auto_replay = errors.read(reader, "auto_replay", Reader::boolean).unwrap_or(policy.auto_replay);
    if let Some(item) = errors.take("owners") {
        for (subgraph, whom) in reader.named(&item) {
            if let Some(whom) = reader.text(&whom) {
                policy.owners.insert(subgraph.value, whom.value);
            }
        }
    }
    errors.finish(reader);
    (policy, dead_letters)
}

fn read_freshness(reader: &mut Reader<'_>, file: &mut Section<'_>) -> FreshnessPolicy {
    let mut policy = FreshnessPolicy { warn_after_ms: 30_000, error_after_ms: 300_000 };
    let Some(mut freshness) = file.section(reader, "freshness") else { return policy };
    let warn = freshness.read(reader, "warn_after", Reader::duration);
    let error = freshness.read(reader, "error_after", Reader::duration);
    policy.warn_after_ms = warn.unwrap_or(policy.warn_after_ms);
    policy.error_after_ms = error.unwrap_or_else(|| policy.error_after_ms.max(policy.warn_after_ms));
    if policy.warn_after_ms > policy.error_after_ms {
        let message = "`freshness.warn_after` is longer than `freshness.error_after`".to_owned();
        reader.error(codes::SS121, &freshness.range.clone(), message, "a warning comes before an error");
    }
    freshness.finish(reader);
    policy
}

fn read_audit(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    coverage: &[CoverageException],
) -> Option<AuditPlan> {
    let covered = coverage.iter().find(|line| line.freshness == Freshness::Audit);
    let Some(item) = file.take("audit") else { return covered.map(|_| AuditPlan::default()) };
    let mut plan = AuditPlan::default();
    let mut audit = reader.section(&item)?;
    plan.sample_per_second = audit.read(reader, "sample", Reader::rate).or(plan.sample_per_second);
    let spans = [
        ("daily", Some(Every::Daily)),
        ("weekly", Some(Every::Weekly)),
        ("monthly", Some(Every::Monthly)),
        ("never", None),
    ];
    plan.full = audit.read(reader, "full", |r, item| r.word(item, &spans)).unwrap_or(plan.full);
    plan.confirm_after_ms =
        audit.read(reader, "confirm_after", Reader::duration).unwrap_or(plan.confirm_after_ms);
    let repair = audit.take("repair");
    plan.repair = repair.as_ref().and_then(|item| reader.boolean(item)).unwrap_or(plan.repair);
    audit.finish(reader);
    if let (Some(line), Some(repair), false) = (covered, repair, plan.repair) {
        let message = format!(
            "`audit.repair` is off, and an audit is what keeps {} fresh (`coverage.{0}.freshness`)",
            line.type_name.value
        );
        let help = "leave it out, or say `freshness: ignore`";
        reader.error(codes::SS121, &repair.range, message, help);
    }
    Some(plan)
}

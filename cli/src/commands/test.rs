//! `test`: plays through the tests of a configuration, with the real index and mocks for the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use codegen::{
    Compiled,
    config::{TestCase, TestEvent, TestSearch},
};
use indexer::rehearsal::{Played, Rehearsal};
use plan::{DocumentId, IndexPlan, SourceText, diagnostic::nearest};
use serde::Serialize;
use serde_json::Value;

use super::search::{self, Wish};
use crate::{
    difference::differences,
    discover::{self, Target},
    environment::Environment,
    exit::Exit,
    failure::{Failure, Trouble},
    files::write_whole,
    output::Output,
    paint::Paint,
    project::{Project, tidy},
    rewrite::{Correction, Step, corrected},
};

/// Hits looked at: as many as one search may answer.
const HITS: usize = 1_000;

/// The longest event file, in lines: a test tells of one change, or of a few.
const MAX_LINES: usize = 1_000;

#[derive(Serialize)]
struct Tested {
    success: bool,
    tests: Vec<Verdict>,
}

#[derive(Serialize)]
struct Verdict {
    file: PathBuf,
    name: String,
    success: bool,
    /// Whether what it expects was written anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    updated: bool,
    /// What differs, a line each.
    failures: Vec<String>,
    #[serde(skip)]
    corrections: Vec<Correction>,
}

/// What becomes of an expectation that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expectations {
    /// It fails its test.
    Hold,
    /// What was found takes its place in the file.
    AreUpdated,
}

type Texts = BTreeMap<String, Arc<SourceText>>;

/// Runs the tests of every configuration.
pub(crate) async fn test(
    paths: &[PathBuf],
    filter: Option<&str>,
    expectations: Expectations,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut verdicts = Vec::new();
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for path in paths {
        let targets = discover::targets(path)?.into_iter();
        files.extend(targets.filter_map(|target| match target {
            Target::Config(file) => Some(file),
            Target::Markdown(_) => None,
        }));
    }
    for file in &files {
        let (project, compiled, mocks) = match prepared(file, env, output).await {
            Ok(prepared) => prepared,
            // Alone it fails as in any command; among others it must not keep them from being tested.
            Err(Failure::Told(trouble)) if files.len() > 1 => {
                verdicts.push(Verdict::of_refused(file, &trouble));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let cases = &project.config.tests;
        names.extend(cases.iter().map(|case| case.name.value.clone()));
        let mut judged = run_all(&project.file, cases, filter, &compiled.plan, &mocks).await?;
        let corrections = judged.iter_mut().flat_map(|verdict| std::mem::take(&mut verdict.corrections));
        let corrections: Vec<Correction> = corrections.collect();
        if expectations == Expectations::AreUpdated && !corrections.is_empty() {
            update(&project, &corrections)?;
            let before = judged;
            let (project, compiled, mocks) = prepared(file, env, output).await?;
            judged = run_all(&project.file, &project.config.tests, filter, &compiled.plan, &mocks).await?;
            for (verdict, before) in judged.iter_mut().zip(before) {
                verdict.updated = verdict.success && !before.success;
            }
        }
        verdicts.extend(judged);
    }
    if let (Some(filter), true) = (filter, verdicts.is_empty()) {
        let failure = Failure::usage(format!("no test has {filter:?} in its name"));
        let near = nearest(filter, names.iter().map(String::as_str));
        let all = || names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        return Err(failure.help(near.map_or_else(
            || if names.is_empty() { "there are no tests".to_owned() } else { format!("tests: {}", all()) },
            |near| format!("did you mean {near:?}?"),
        )));
    }
    let success = verdicts.iter().all(|verdict| verdict.success);
    let tested = Tested { success, tests: verdicts };
    output.answer(&tested, |paint| shown(&tested.tests, paint))?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// Writes what was found into the configuration, all of it or nothing.
fn update(project: &Project, corrections: &[Correction]) -> Result<(), Failure> {
    let file = &project.file;
    let failed = |reason: String| {
        Failure::new(format!("the expectations of {} can't be written: {reason}", tidy(file).display()))
    };
    let text = corrected(&project.config.source.text, corrections)
        .map_err(|reason| failed(reason).help("write this one by hand, then update the others"))?;
    write_whole(file, &text).map_err(|error| failed(error.to_string()))
}

impl Verdict {
    /// A configuration whose tests can't begin.
    fn of_refused(file: &Path, trouble: &Trouble) -> Self {
        let mut failures = trouble.all_causes();
        if trouble.diagnostics.is_empty() {
            failures.insert(0, trouble.message.clone());
        }
        let name = "the configuration is refused".to_owned();
        Self { file: tidy(file), name, success: false, updated: false, failures, corrections: Vec::new() }
    }
}

/// A configuration with all that its tests need.
async fn prepared(
    file: &Path,
    env: &Environment,
    output: &Output,
) -> Result<(Project, Compiled, Texts), Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let mocks = project.mocks().map_err(Failure::of_diagnostics)?;
    Ok((project, compiled, mocks))
}

/// The tests of one configuration, in its order. What a test goes on from is played, too, and not judged.
async fn run_all(
    file: &Path,
    cases: &[TestCase],
    filter: Option<&str>,
    plan: &IndexPlan,
    mocks: &Texts,
) -> Result<Vec<Verdict>, Failure> {
    let is_wanted = |case: &TestCase| filter.is_none_or(|filter| case.name.value.contains(filter));
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(format!("there is no place for temporary files: {error}")))?;
    let mut stage: Option<Rehearsal> = None;
    let mut verdicts = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let goes_on = cases[number + 1..].iter().take_while(|next| !next.begins_anew());
        if !is_wanted(case) && !goes_on.into_iter().any(is_wanted) {
            continue;
        }
        let new = match stage.take().filter(|_| !case.begins_anew()) {
            Some(stage) => stage,
            None => Rehearsal::new(plan, &folder.path().join(format!("{number}.db"))).await?,
        };
        let (failures, corrections) = (Vec::new(), Vec::new());
        let mut run = Run { number, case, plan, mocks, stage: new, failures, corrections };
        run.play().await?;
        if is_wanted(case) {
            verdicts.push(Verdict {
                file: file.to_owned(),
                name: case.name.value.clone(),
                success: run.failures.is_empty(),
                updated: false,
                failures: run.failures,
                corrections: run.corrections,
            });
        }
        stage = Some(run.stage);
    }
    Ok(verdicts)
}

/// One test on its way.
struct Run<'t> {
    /// Its place among the tests.
    number: usize,
    case: &'t TestCase,
    plan: &'t IndexPlan,
    mocks: &'t Texts,
    stage: Rehearsal,
    failures: Vec<String>,
    /// What was found in the place of what was expected.
    corrections: Vec<Correction>,
}

impl Run<'_> {
    async fn play(&mut self) -> Result<(), Failure> {
        for path in &self.case.index {
            self.put(&path.value).await?;
        }
        if let Some(event) = &self.case.event {
            self.tell(event).await?;
        }
        for (id, expected) in &self.case.expect.documents {
            self.compare(&id.value, expected).await?;
        }
        if let Some(search) = &self.case.search {
            self.search(search).await;
        }
        Ok(())
    }

    fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// Notes what was found at a place of this test.
    fn correct(&mut self, at: &[&str], expected: &Value, found: &Value) {
        let keys = at.iter().map(|key| Step::Key((*key).to_owned()));
        let path: Vec<Step> =
            [Step::Key("tests".to_owned()), Step::Index(self.number)].into_iter().chain(keys).collect();
        Correction::of(&path, expected, found, &mut self.corrections);
    }

    /// The JSON of a file that the test names; what is wrong with it fails the test.
    fn json(&mut self, path: &str) -> Option<Value> {
        let text = self.mocks.get(path).map_or("", |source| source.text.as_str());
        match serde_json::from_str(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(format!("{path} is not JSON: {error}"));
                None
            }
        }
    }

    fn id(&mut self, text: &str) -> Option<DocumentId> {
        match DocumentId::parse(self.plan.key.kind, text) {
            Ok(id) => Some(id),
            Err(error) => {
                self.fail(format!("{text:?} is no id: {error}"));
                None
            }
        }
    }

    /// Puts the document of a file into the index, under the key that it carries.
    async fn put(&mut self, path: &str) -> Result<(), Failure> {
        let Some(document) = self.json(path) else { return Ok(()) };
        let key = self.plan.key.path.as_str();
        let Some(value) = document.get(key) else {
            self.fail(format!("{path} has no `{key}`: a document, as the query answers it, is wanted"));
            return Ok(());
        };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(id) = self.id(&text)
            && let Err(reason) = self.stage.put(id, &document).await?
        {
            self.fail(format!("{path} can't be indexed: {reason}"));
        }
        Ok(())
    }

    /// Hands the event to its source, and looks at what was done about it.
    async fn tell(&mut self, event: &TestEvent) -> Result<(), Failure> {
        let lines = self.lines(&event.file.value);
        let mut responses = BTreeMap::new();
        for (id, path) in &self.case.graph {
            if let Some(response) = self.json(&path.value) {
                responses.insert(id.value.clone(), response);
            }
        }
        if !self.failures.is_empty() {
            return Ok(());
        }
        let Played { asked, dead_letters, held, paused } =
            self.stage.play(&event.source.value, lines, responses).await?;
        for reason in dead_letters {
            self.fail(format!("{} can't be understood: {reason}", event.file.value));
        }
        for id in asked.unanswered {
            self.fail(format!("the graph was asked for {id}, and `graph:` has no response for it"));
        }
        if let Some(reason) = paused {
            self.fail(format!("the index paused: {reason}"));
        }
        if let Some(ids) = &self.case.expect.ids {
            let expected: BTreeSet<String> = ids.iter().map(|id| id.value.clone()).collect();
            self.compare_ids("rebuilt", &expected, &asked.documents);
            let written = ids.iter().map(|id| id.value.as_str()).collect();
            if expected != asked.documents {
                self.correct(&["expect", "ids"], &written, &asked.documents.into_iter().collect());
            }
        }
        // A failure that the mocks tell of may be what the test is about; it helps to read what differs.
        if !self.failures.is_empty() {
            held.iter().for_each(|(id, reason)| self.fail(format!("{id} is held: {reason}")));
        }
        Ok(())
    }

    /// The records of a file: one JSON value over any number of lines, or one a line.
    fn lines(&mut self, path: &str) -> Vec<Vec<u8>> {
        let text = self.mocks.get(path).map_or("", |source| source.text.as_str());
        if let Ok(one) = serde_json::from_str::<Value>(text) {
            return vec![one.to_string().into_bytes()];
        }
        let lines: Vec<Vec<u8>> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.as_bytes().to_vec())
            .collect();
        if lines.is_empty() || lines.len() > MAX_LINES {
            self.fail(format!("{path} holds {} events, and a test has 1 to {MAX_LINES}", lines.len()));
            return Vec::new();
        }
        lines
    }

    fn compare_ids(&mut self, verb: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>) {
        for id in expected.difference(found) {
            self.fail(format!("{id} was not {verb}"));
        }
        for id in found.difference(expected) {
            self.fail(format!("{id} was {verb}, and nobody expects it"));
        }
    }

    async fn compare(&mut self, id: &str, expected: &Value) -> Result<(), Failure> {
        let written = id;
        let Some(id) = self.id(id) else { return Ok(()) };
        let found = self.stage.document(&id).await?;
        match (&found, expected) {
            (None, Value::Null) => {}
            (None, _) => self.fail(format!("{id} is not in the index")),
            (Some(_), Value::Null) => self.fail(format!("{id} is in the index, and should be gone")),
            (Some(found), expected) => self.failures.extend(differences(&id.to_string(), expected, found)),
        }
        self.correct(&["expect", "documents", written], expected, &found.unwrap_or_default());
        Ok(())
    }

    async fn search(&mut self, search: &TestSearch) {
        let wish = Wish {
            text: search.text.clone(),
            filter: search.filter.as_ref().map(|filter| filter.value.clone()),
            facets: search.facets.iter().map(|(path, _)| path.value.clone()).collect(),
            sort: search.sort.iter().map(|sort| sort.value.clone()).collect(),
            first: HITS,
            ..Wish::default()
        };
        let response = match search::find(self.stage.index(), wish).await {
            Ok(response) => response,
            Err(Failure::Told(trouble)) => {
                let mend = trouble.mend().map_or(String::new(), |mend| format!(" ({mend})"));
                return self.fail(format!("the search failed: {}{mend}", trouble.message));
            }
            Err(_) => return self.fail("the search was interrupted"),
        };
        let expected: Vec<String> = search.expect.iter().map(|id| id.value.clone()).collect();
        let found: Vec<String> = response.hits.iter().map(|hit| hit.id.to_string()).collect();
        let (expected_set, found_set) = (expected.iter().cloned().collect(), found.iter().cloned().collect());
        self.compare_ids("found", &expected_set, &found_set);
        if !search.sort.is_empty() && expected_set == found_set && expected != found {
            self.fail(format!("the order is {}, expected {}", found.join(", "), expected.join(", ")));
        }
        if expected_set != found_set || !search.sort.is_empty() && expected != found {
            self.correct(&["search", "expect"], &expected.into(), &found.into());
        }
        for (path, counts) in &search.facets {
            let facet = response.facets.iter().find(|facet| facet.path == path.value);
            for (value, expected) in counts {
                let found = facet.into_iter().flat_map(|facet| &facet.values);
                let found = found.into_iter().find(|counted| {
                    counted.value.as_str().map_or_else(|| counted.value.to_string(), str::to_owned) == *value
                });
                let count = found.map_or(0, |counted| counted.count);
                if count != *expected {
                    self.fail(format!("{} counts {value} {count} times, expected {expected}", path.value));
                    self.correct(
                        &["search", "facets", &path.value, value],
                        &(*expected).into(),
                        &count.into(),
                    );
                }
            }
        }
    }
}

/// A line for each test, what differs below it, and the sum.
fn shown(verdicts: &[Verdict], paint: Paint) -> String {
    if verdicts.is_empty() {
        return "there are no tests; see `tests:` in studio-search config schema".to_owned();
    }
    let mut lines = Vec::new();
    let several = verdicts.iter().any(|verdict| verdict.file != verdicts[0].file);
    for Verdict { file, name, success, updated, failures, .. } in verdicts {
        let word = match (success, updated) {
            (true, false) => paint.good("ok     "),
            (true, true) => paint.odd("updated"),
            (false, _) => paint.bad("FAILED "),
        };
        let place = if several { format!("{}: ", file.display()) } else { String::new() };
        lines.push(format!("{word} {place}{name}"));
        lines.extend(failures.iter().map(|failure| format!("        {failure}")));
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.success).count();
    lines.push(format!("{} passed, {failed} failed", verdicts.len() - failed));
    lines.join("\n")
}

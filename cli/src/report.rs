//! Diagnostics as people read them: the code, the place, the line with carets under it, the mend.

use std::{fmt, ops::Range, sync::Arc};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceSpan,
};
use plan::{Diagnostic, Severity};
use serde::Serialize;

use crate::{
    failure::Trouble,
    lines::{Lines, Shelf},
    paint::Paint,
};

/// A longer line says nothing on a screen. Introspection files are one line of a megabyte.
const LONGEST_SHOWN_LINE: usize = 400;

/// A diagnostic as machines read it. Lines and columns count from 1, columns in characters.
#[derive(Debug, Serialize)]
pub(crate) struct MachineReport<'d> {
    severity: &'static str,
    code: &'static str,
    message: &'d str,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    help: Option<&'d str>,
}

/// Diagnostics as machines read them, with lines and columns counted.
pub(crate) fn for_machines(diagnostics: &[Diagnostic]) -> Vec<MachineReport<'_>> {
    let mut shelf = Shelf::of(diagnostics);
    let report = |diagnostic| MachineReport::of(diagnostic, &mut shelf);
    diagnostics.iter().map(report).collect()
}

impl<'d> MachineReport<'d> {
    fn of(diagnostic: &'d Diagnostic, shelf: &mut Shelf) -> Self {
        let place = shelf.place(diagnostic);
        let start = place.as_ref().map(|(lines, range)| lines.position(range.start));
        let end = place.as_ref().map(|(lines, range)| lines.position(range.end));
        Self {
            severity: word(diagnostic.severity),
            code: diagnostic.code.id,
            message: &diagnostic.message,
            file: place.map(|(lines, _)| lines.name.clone()),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            help: diagnostic.help.as_deref(),
        }
    }
}

/// Where a diagnostic stands, `index.yaml:3:7`.
pub(crate) fn place(diagnostic: &Diagnostic, shelf: &mut Shelf) -> Option<String> {
    let (lines, range) = shelf.place(diagnostic)?;
    let (line, column) = lines.position(range.start);
    Some(format!("{}:{line}:{column}", lines.name))
}

/// The report of one diagnostic, with the line it is about.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, shelf: &mut Shelf, paint: Paint) -> String {
    let mut theme = if paint.is_on() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let heading = format!("{}[{}]:", word(diagnostic.severity), diagnostic.code);
    theme.characters.error.clone_from(&heading);
    theme.characters.warning = heading;
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .with_context_lines(1)
        .with_footer(more(diagnostic.code));
    let snippet = shelf.place(diagnostic).map(|(lines, range)| Snippet::new(lines, range));
    let is_shown = snippet.as_ref().is_some_and(Snippet::is_shown);
    let shown = Shown { diagnostic, snippet: snippet.filter(Snippet::is_shown) };
    let mut text = String::new();
    let rendered = handler.render_report(&mut text, &shown);
    let text =
        if rendered.is_ok() { text } else { format!("{} {}\n", heading_of(diagnostic), diagnostic.message) };
    let mut text = text.trim_start().to_owned();
    if let (Some(place), false) = (place(diagnostic, shelf), is_shown && rendered.is_ok()) {
        // Right below the heading, where the snippet would name it.
        let end_of_heading = text.find('\n').map_or(text.len(), |at| at + 1);
        text.insert_str(end_of_heading, &format!("   --> {place}\n"));
    }
    text
}

/// The report of a failure that no text of the user is to blame for.
pub(crate) fn trouble(trouble: &Trouble, paint: Paint) -> String {
    let heading = match trouble.code {
        Some(code) => format!("error[{code}]:"),
        None => "error:".to_owned(),
    };
    let mut lines = vec![format!("{} {}", paint.bad(&heading), trouble.message)];
    lines.extend(trouble.causes.iter().map(|cause| format!("  because: {cause}")));
    lines.extend(trouble.help.iter().map(|help| format!("  {} {help}", paint.strong("help:"))));
    lines.extend(trouble.code.map(|code| format!("  {}", more(code))));
    lines.join("\n")
}

fn more(code: plan::Code) -> String {
    format!("more: studio-search explain {code}")
}

fn heading_of(diagnostic: &Diagnostic) -> String {
    format!("{}[{}]:", word(diagnostic.severity), diagnostic.code)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One diagnostic in miette's terms.
struct Shown<'d> {
    diagnostic: &'d Diagnostic,
    snippet: Option<Snippet>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.diagnostic, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.snippet.as_ref().map(|snippet| snippet as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let snippet = self.snippet.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, snippet.span))))
    }
}

/// A text with the part of it that is underlined: never past the end of its first line, so that a whole map stays one line.
struct Snippet {
    lines: Arc<Lines>,
    span: SourceSpan,
    longest_line: usize,
}

impl Snippet {
    fn new(lines: Arc<Lines>, range: Range<usize>) -> Self {
        let number = lines.number(range.start);
        // The neighbouring lines are shown, too.
        let neighbours = number.saturating_sub(1)..number + 2;
        let longest_line = neighbours.map(|line| lines.range(line..line + 1).len()).max().unwrap_or(0);
        let line = lines.range(number..number + 1);
        let line_end = line.start + lines.shown[line].trim_end_matches(['\r', '\n']).len();
        let span = SourceSpan::from((range.start, range.end.min(line_end).saturating_sub(range.start)));
        Self { lines, span, longest_line }
    }

    fn is_shown(&self) -> bool {
        self.longest_line <= LONGEST_SHOWN_LINE && !self.lines.shown.is_empty()
    }
}

impl miette::SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        // miette reads a text from its start for each span; the lines around it are enough.
        let (start, end) = (span.offset(), span.offset() + span.len());
        let first = self.lines.number(start).saturating_sub(lines_before);
        let window = self.lines.range(first..self.lines.number(end) + lines_after + 1);
        let inside = SourceSpan::from((start - window.start, span.len()));
        let contents = self.lines.shown[window.clone()].read_span(&inside, lines_before, lines_after)?;
        // miette counts columns in bytes; people and editors count characters.
        let column = match lines_before {
            0 => self.lines.position(start).1 - 1,
            _ => contents.column(),
        };
        let shown = contents.span();
        Ok(Box::new(MietteSpanContents::new_named(
            self.lines.name.clone(),
            contents.data(),
            SourceSpan::from((shown.offset() + window.start, shown.len())),
            contents.line() + first,
            column,
            contents.line_count(),
        )))
    }
}

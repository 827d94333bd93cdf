//! Diagnostics as people read them: the code, the place, the line with carets under it, the mend.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceSpan,
};
use plan::{Diagnostic, Severity, SourceText, diagnostic::line_and_column};
use serde::Serialize;

use crate::{failure::Trouble, paint::Paint};

/// A longer line says nothing on a screen. Introspection files are one line of a megabyte.
const LONGEST_SHOWN_LINE: usize = 400;

/// A diagnostic as machines read it. Lines and columns count from 1, columns in characters.
#[derive(Debug, Serialize)]
pub(crate) struct MachineReport<'d> {
    severity: &'static str,
    code: &'static str,
    message: &'d str,
    file: Option<&'d str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    help: Option<&'d str>,
}

impl<'d> MachineReport<'d> {
    /// Counts lines and columns.
    pub(crate) fn of(diagnostic: &'d Diagnostic) -> Self {
        let place = diagnostic.place.as_ref();
        let start = place.map(|(source, range)| line_and_column(&source.text, range.start));
        let end = place.map(|(source, range)| line_and_column(&source.text, range.end));
        Self {
            severity: word(diagnostic.severity),
            code: diagnostic.code.id,
            message: &diagnostic.message,
            file: place.map(|(source, _)| source.name.as_str()),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            help: diagnostic.help.as_deref(),
        }
    }
}

/// Where a diagnostic stands, `index.yaml:3:7`.
pub(crate) fn place(diagnostic: &Diagnostic) -> Option<String> {
    let (source, range) = diagnostic.place.as_ref()?;
    let (line, column) = line_and_column(&source.text, range.start);
    Some(format!("{}:{line}:{column}", source.name))
}

/// The report of one diagnostic, with the line it is about.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, paint: Paint) -> String {
    let mut theme = if paint.is_on() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let heading = format!("{}[{}]:", word(diagnostic.severity), diagnostic.code);
    theme.characters.error.clone_from(&heading);
    theme.characters.warning = heading;
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .with_context_lines(1)
        .with_footer(more(diagnostic.code));
    let snippet = diagnostic.place.as_ref().map(|(source, range)| Snippet::new(source, range.clone()));
    let is_shown = snippet.as_ref().is_some_and(Snippet::is_shown);
    let shown = Shown { diagnostic, snippet: snippet.filter(Snippet::is_shown) };
    let mut text = String::new();
    let rendered = handler.render_report(&mut text, &shown);
    let text =
        if rendered.is_ok() { text } else { format!("{} {}\n", heading_of(diagnostic), diagnostic.message) };
    let mut text = text.trim_start().to_owned();
    if let (Some(place), false) = (place(diagnostic), is_shown && rendered.is_ok()) {
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
    snippet: Option<Snippet<'d>>,
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
struct Snippet<'t> {
    source: &'t SourceText,
    span: SourceSpan,
    longest_line: usize,
}

impl<'t> Snippet<'t> {
    fn new(source: &'t SourceText, range: std::ops::Range<usize>) -> Self {
        let text = &source.text;
        let line_end = text[range.start..].find(['\r', '\n']).map_or(text.len(), |at| range.start + at);
        // The neighbouring lines are shown, too.
        let before = text[..range.start].rsplit('\n').take(2).map(str::len).max().unwrap_or(0);
        let after = text[range.start..].split('\n').take(2).map(str::len).max().unwrap_or(0);
        let span = SourceSpan::from((range.start, range.end.min(line_end) - range.start));
        Self { source, span, longest_line: before.max(after) }
    }

    fn is_shown(&self) -> bool {
        self.longest_line <= LONGEST_SHOWN_LINE && !self.source.text.is_empty()
    }
}

impl miette::SourceCode for Snippet<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        let contents = self.source.text.read_span(span, lines_before, lines_after)?;
        // miette counts columns in bytes; people and editors count characters.
        let column = match lines_before {
            0 => line_and_column(&self.source.text, span.offset()).1 - 1,
            _ => contents.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.source.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            column,
            contents.line_count(),
        )))
    }
}

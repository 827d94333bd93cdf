//! The one place that prints: results on stdout, as tables or as the JSON envelope; talk on stderr.

use std::io::{self, BufWriter, IsTerminal, Write};

use plan::Diagnostic;
use serde::Serialize;

use crate::{
    args::Globals,
    failure::{Failure, Trouble},
    lines::Shelf,
    paint::Paint,
    report,
};

/// The layout of the envelope. It changes when a field changes its meaning or goes away.
const JSON_VERSION: &str = "1";

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables and sentences.
    Text,
    /// One object a result.
    Json,
    /// A page for a pull request; only `plan` writes one.
    Markdown,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a command writes.
pub(crate) struct Output {
    format: Format,
    quiet: u8,
    bars: bool,
    /// For stdout.
    paint: Paint,
    /// For stderr.
    talk_paint: Paint,
    out: BufWriter<Box<dyn Write + Send>>,
}

#[derive(Serialize)]
struct Envelope<'d, T> {
    json_version: &'static str,
    data: Option<&'d T>,
    error: Option<MachineError<'d>>,
}

#[derive(Serialize)]
struct MachineError<'d> {
    code: Option<&'static str>,
    message: &'d str,
    causes: Vec<String>,
    help: Option<&'d str>,
}

impl Output {
    /// As the global options say.
    pub(crate) fn new(globals: &Globals) -> Self {
        let wants_color = |is_terminal: bool| match globals.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self {
            format: globals.format(),
            quiet: globals.quiet,
            bars: !globals.no_progress && io::stderr().is_terminal(),
            paint: Paint::new(wants_color(io::stdout().is_terminal())),
            talk_paint: Paint::new(wants_color(io::stderr().is_terminal())),
            out: BufWriter::new(Box::new(io::stdout())),
        }
    }

    /// Writes envelopes into this instead of stdout, and says nothing: for callers in the same process.
    #[cfg(feature = "python")]
    pub(crate) fn into_memory(out: impl Write + Send + 'static) -> Self {
        let paint = Paint::new(false);
        let out = BufWriter::new(Box::new(out) as Box<dyn Write + Send>);
        Self { format: Format::Json, quiet: 2, bars: false, paint, talk_paint: paint, out }
    }

    /// Writes a result: the data in the envelope, or the text made from it.
    pub(crate) fn answer<T: Serialize>(
        &mut self,
        data: &T,
        text: impl FnOnce(Paint) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => write_envelope(&mut self.out, Some(data), None)?,
            Format::Text | Format::Markdown => {
                let text = text(self.paint);
                self.out.write_all(text.as_bytes())?;
                if !text.ends_with('\n') && !text.is_empty() {
                    self.out.write_all(b"\n")?;
                }
            }
        }
        self.flush()
    }

    /// Writes bare data, whatever the format is: lines of an export, a generated file, a script.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(data)?)
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Says something to a person; silent with `-q`. Nobody reads it where stderr is closed, which is no failure.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet == 0 {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Warns a person; silent with `-qq`.
    pub(crate) fn warn(&self, text: &str) {
        if self.quiet < 2 {
            let _ = writeln!(io::stderr(), "{} {text}", self.talk_paint.odd("warning:"));
        }
    }

    /// Shows diagnostics to a person: errors always, warnings unless `-qq`.
    pub(crate) fn report(&self, diagnostics: &[Diagnostic]) {
        let mut texts = Shelf::of(diagnostics);
        for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.is_error() || self.quiet < 2) {
            let _ = writeln!(io::stderr(), "{}", report::diagnostic(diagnostic, &mut texts, self.talk_paint));
        }
    }

    /// Tells why the command failed.
    pub(crate) fn fail(&mut self, trouble: &Trouble) {
        if self.format != Format::Json {
            self.report(&trouble.diagnostics);
            if trouble.diagnostics.is_empty() {
                let _ = writeln!(io::stderr(), "{}", report::trouble(trouble, self.talk_paint));
            }
            return;
        }
        let error = MachineError {
            code: trouble.code.map(|code| code.id),
            message: &trouble.message,
            causes: trouble.all_causes(),
            help: trouble.mend(),
        };
        // The exit code tells it to whoever closed stdout.
        let _ = write_envelope::<()>(&mut self.out, None, Some(error)).and_then(|()| self.out.flush());
    }

    /// Asks a person on a terminal; `None` where there is nobody to ask.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Option<bool>, Failure> {
        if self.format == Format::Json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        self.flush()?;
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| Failure::new(format!("no answer: {error}")))?;
        Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
    }

    /// Clears the terminal, for what is shown again and again.
    pub(crate) fn clear(&mut self) -> Result<(), Failure> {
        if self.is_text() && io::stdout().is_terminal() {
            self.write(b"\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    /// How results are written.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether people read the result.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether something may move on stderr.
    pub(crate) fn has_bars(&self) -> bool {
        self.bars && self.quiet == 0
    }

    /// The paint of stderr.
    pub(crate) fn talk_paint(&self) -> Paint {
        self.talk_paint
    }
}

fn write_envelope<T: Serialize>(
    out: &mut impl Write,
    data: Option<&T>,
    error: Option<MachineError<'_>>,
) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Envelope { json_version: JSON_VERSION, data, error })?;
    out.write_all(b"\n")
}

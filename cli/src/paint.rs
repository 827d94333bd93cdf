//! Colors, by what they mean; nothing where they were not asked for.

use console::Style;

/// Paints, or leaves as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Paints where `on`.
    pub(crate) fn new(on: bool) -> Self {
        Self(on)
    }

    /// Whether it paints.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    /// What went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(Style::new().red().bold(), text)
    }

    /// What went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(Style::new().green(), text)
    }

    /// What deserves a look.
    pub(crate) fn odd(self, text: &str) -> String {
        self.with(Style::new().yellow(), text)
    }

    /// What matters most.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What may be overlooked.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(Style::new().dim(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }
}

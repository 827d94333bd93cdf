//! Tables that fit the terminal: columns shrink from the widest, and nothing in a cell can steer the terminal.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use crate::paint::Paint;

/// Between two columns.
const GAP: &str = "  ";

/// No column shrinks below this, even if the line then wraps.
const NARROWEST: usize = 8;

/// Rows of cells under headings.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. A heading that begins with `>` stands to the right, as numbers do.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(|&heading| heading.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| harmless(&cell)).collect());
    }

    /// The table, as wide as the terminal; as wide as it likes where stdout is none, for `grep` and `awk`.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let terminal = console::Term::stdout();
        let width = if terminal.is_term() { usize::from(terminal.size().1) } else { usize::MAX };
        self.render_within(width, paint)
    }

    fn render_within(&self, width: usize, paint: Paint) -> String {
        let widths = self.widths(width);
        let headings: Vec<String> =
            self.headings.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
        let mut text = paint.faint(&self.line(&headings, &widths));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, &width), heading) in cells.iter().zip(widths).zip(&self.headings) {
            let side = if heading.starts_with('>') { Alignment::Right } else { Alignment::Left };
            let cell = truncate_str(cell, width, "…");
            line.push_str(&pad_str(&cell, width, side, None));
            line.push_str(GAP);
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn widths(&self, total: usize) -> Vec<usize> {
        let mut widths: Vec<usize> =
            self.headings.iter().map(|name| name.trim_start_matches('>').len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>().saturating_add(gaps) > total {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// Text without control characters: documents come from elsewhere, and an escape sequence could write anything.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_column_gives_way() {
        let mut table = Table::new(&["id", "title", ">votes"]);
        table.row(["m1".into(), "The Lord of the Rings: The Return of the King".into(), "364077".into()]);
        table.row(["m2".into(), "Léon\u{1b}[2J".into(), "7".into()]);
        insta::assert_snapshot!(table.render_within(36, Paint::new(false)), @r#"
    id  title                      votes
    m1  The Lord of the Rings: …  364077
    m2  Léon [2J                       7
    "#);
    }
}

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
    has_headings: bool,
    rows: Vec<Row>,
    /// Columns from here on are left out where the table would be too wide with them.
    kept: usize,
}

struct Row {
    cells: Vec<String>,
    /// Words that are painted wherever they stand.
    marks: Vec<String>,
}

/// The width of the terminal; as wide as one likes where stdout is none, for `grep` and `awk`.
pub(crate) fn terminal_width() -> usize {
    let terminal = console::Term::stdout();
    if terminal.is_term() { usize::from(terminal.size().1) } else { usize::MAX }
}

impl Table {
    /// A table without rows. A heading that begins with `>` stands to the right, as numbers do.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
        Self { kept: headings.len(), headings, has_headings: true, rows: Vec::new() }
    }

    /// Leaves columns out from the end where the table would be too wide, all but so many.
    #[must_use]
    pub(crate) fn keeping(self, columns: usize) -> Self {
        Self { kept: columns, ..self }
    }

    /// Shows the rows alone.
    #[must_use]
    pub(crate) fn without_headings(self) -> Self {
        Self { has_headings: false, ..self }
    }

    /// Adds a row with a cell for each heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row_with_marks(cells, []);
    }

    /// Adds a row in whose cells these words stand out.
    pub(crate) fn row_with_marks(
        &mut self,
        cells: impl IntoIterator<Item = String>,
        marks: impl IntoIterator<Item = String>,
    ) {
        let cells = cells.into_iter().map(|cell| harmless(&cell)).collect();
        let mut marks: Vec<String> = marks.into_iter().collect();
        // The longest first: of two that begin alike, the whole one is painted.
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.len()));
        self.rows.push(Row { cells, marks });
    }

    /// The table, as wide as the terminal.
    pub(crate) fn render(&self, paint: Paint) -> String {
        self.render_within(terminal_width(), paint)
    }

    fn render_within(&self, width: usize, paint: Paint) -> String {
        let widths = self.widths(width);
        let headings: Vec<String> =
            self.headings.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
        let mut text = String::new();
        if self.has_headings {
            text = paint.faint(&self.line(&headings, &[], &widths, paint));
            text.push('\n');
        }
        for Row { cells, marks } in &self.rows {
            text.push_str(&self.line(cells, marks, &widths, paint));
            text.push('\n');
        }
        text
    }

    /// A line of as many cells as there are widths.
    fn line(&self, cells: &[String], marks: &[String], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for ((cell, &width), heading) in cells.iter().zip(widths).zip(&self.headings) {
            let side = if heading.starts_with('>') { Alignment::Right } else { Alignment::Left };
            let cell = truncate_str(cell, width, "…");
            line.push_str(&marked(&pad_str(&cell, width, side, None), marks, paint));
            line.push_str(GAP);
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn widths(&self, total: usize) -> Vec<usize> {
        let mut widths: Vec<usize> =
            self.headings.iter().map(|name| name.trim_start_matches('>').len()).collect();
        if !self.has_headings {
            widths.fill(0);
        }
        for Row { cells, .. } in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        let gaps = |columns: usize| GAP.len() * columns.saturating_sub(1);
        while widths.len() > self.kept && widths.iter().sum::<usize>() + gaps(widths.len()) > total {
            widths.pop();
        }
        let gaps = gaps(widths.len());
        while widths.iter().sum::<usize>().saturating_add(gaps) > total {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// A cell in which these words are painted where they stand as words.
fn marked(cell: &str, marks: &[String], paint: Paint) -> String {
    if !paint.is_on() || marks.is_empty() {
        return cell.to_owned();
    }
    let (mut text, mut rest, mut before) = (String::new(), cell, None::<char>);
    while let Some(next) = rest.chars().next() {
        let is_start = !before.is_some_and(char::is_alphanumeric);
        let ends_well = |mark: &&String| {
            rest.strip_prefix(mark.as_str()).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
        };
        let mark = marks.iter().filter(|mark| is_start && !mark.is_empty()).find(ends_well);
        let piece = mark.map_or(&rest[..next.len_utf8()], |mark| &rest[..mark.len()]);
        if mark.is_some() {
            text.push_str(&paint.strong(piece));
        } else {
            text.push_str(piece);
        }
        before = piece.chars().next_back();
        rest = &rest[piece.len()..];
    }
    text
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

    #[test]
    fn columns_at_the_end_are_left_out_before_others_are_cut() {
        let mut table = Table::new(&["id", "title", "genre", "status"]).keeping(2);
        table.row(["m1", "King Kong", "Adventure", "RELEASED"].map(str::to_owned));
        let within = |width| table.render_within(width, Paint::new(false)).lines().nth(1).unwrap().to_owned();
        assert_eq!(within(80), "m1  King Kong  Adventure  RELEASED");
        assert_eq!(within(30), "m1  King Kong  Adventure");
        assert_eq!(within(20), "m1  King Kong");
        assert_eq!(within(12), "m1  King Ko…");
    }

    #[test]
    fn words_are_marked_where_they_stand_alone() {
        let marks = ["King".to_owned(), "a".to_owned()];
        let told = marked("King Kong, a Kingdom", &marks, Paint::new(true));
        let strong = |text: &str| Paint::new(true).strong(text);
        assert_eq!(told, format!("{} Kong, {} Kingdom", strong("King"), strong("a")));
    }
}

//! `explain`: the page of one diagnostic code, or all codes.

use plan::{Code, diagnostic::nearest};
use serde::Serialize;

use crate::{exit::Exit, failure::Failure, output::Output};

#[derive(Serialize)]
struct Explained {
    success: bool,
    code: &'static str,
    title: &'static str,
    page: &'static str,
}

/// Shows the page.
pub(crate) fn explain(code: &str, output: &mut Output) -> Result<Exit, Failure> {
    let Some(found) = Code::find(code.trim()) else {
        let near = nearest(code, Code::all().map(|code| code.id));
        let help = near.map_or("`studio-search explain` lists all codes".to_owned(), |near| {
            format!("did you mean {near}?")
        });
        return Err(Failure::usage(format!("there is no code {code}")).help(help));
    };
    let page = Explained { success: true, code: found.id, title: found.title, page: found.page };
    output.answer(&page, |paint| {
        let title = paint.strong(&format!("{}: {}", found.id, found.title));
        format!("{title}\n\n{}\n", filled(found.page))
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Listed {
    success: bool,
    codes: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    code: &'static str,
    title: &'static str,
}

/// Shows what codes there are.
pub(crate) fn list(output: &mut Output) -> Result<Exit, Failure> {
    let codes: Vec<Line> = Code::all().map(|code| Line { code: code.id, title: code.title }).collect();
    output.answer(&Listed { success: true, codes }, |_| {
        let lines: Vec<String> = Code::all().map(|code| format!("{}  {}", code.id, code.title)).collect();
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

/// Prose in lines that are easy to read.
fn filled(page: &str) -> String {
    const WIDTH: usize = 80;
    let mut lines = vec![String::new()];
    for word in page.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

//! Where `${NAME}` in a configuration gets its value: the environment, then `--env-file`.

use std::{collections::BTreeMap, path::Path};

use crate::{
    failure::Failure,
    files::{MAX_VALUE_BYTES, read_text},
};

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Set by a command itself; they come first.
    own: BTreeMap<String, String>,
    /// From `--env-file`; they come last.
    file: BTreeMap<String, String>,
}

impl Environment {
    /// The environment, and behind it the lines of a file.
    pub(crate) fn new(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else { return Ok(Self::default()) };
        let lines = "it holds lines of the form NAME=value";
        let refused = |reason: &dyn std::fmt::Display, help: &str| {
            Failure::usage(format!("the file of variables {} can't be read: {reason}", path.display()))
                .help(help)
        };
        let source = read_text(path, MAX_VALUE_BYTES)
            .map_err(|reason| refused(&reason, reason.mend().unwrap_or(lines)))?;
        let file =
            parse(&source.text).map_err(|line| refused(&format!("line {line} is not NAME=value"), lines))?;
        Ok(Self { own: BTreeMap::new(), file })
    }

    /// Sets a variable before all others.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.own.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a variable; `file.PATH` is the text of a file, without the newline that editors end it with.
    /// A path is relative to `folder`.
    pub(crate) fn get(&self, name: &str, folder: &Path) -> Option<String> {
        if let Some(path) = name.strip_prefix("file.") {
            let source = read_text(&folder.join(path), MAX_VALUE_BYTES).ok()?;
            return Some(source.text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let own = self.own.get(name).cloned();
        own.or_else(|| std::env::var(name).ok()).or_else(|| self.file.get(name).cloned())
    }
}

/// Reads `NAME=value` lines; blank lines and `#` comments are skipped, `export` is forgiven, and one pair of quotes
/// around a value is taken off. An error is the number of the line.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut variables = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(number + 1)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(number + 1);
        }
        let unquoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
        variables.insert(name.to_owned(), unquoted.unwrap_or(value).to_owned());
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_variables_is_what_shells_and_containers_read() {
        let variables = parse("# tokens\nexport TOKEN=\"a b\"\nURL=http://x?a=b\n\nEMPTY=\n").unwrap();
        assert_eq!(variables["TOKEN"], "a b");
        assert_eq!(variables["URL"], "http://x?a=b");
        assert_eq!(variables["EMPTY"], "");
        assert_eq!(parse("A=1\nnonsense"), Err(2));
    }
}

//! `${VAR}`, `${VAR:-default}` and `${VAR:?message}`, filled in inside one value after YAML was read.

use std::ops::Range;

/// Looks up environment variables; `file.PATH` asks for the content of a file.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value can't be filled in. Ranges are bytes of the value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The variable isn't set; the message is the user's own.
    Unset { name: String, message: Option<String>, range: Range<usize> },
    /// `${` without its end, or a name that can't be one.
    Malformed { range: Range<usize> },
}

/// Fills in a value; every failure is told. `$${` stands for `${` itself.
pub(crate) fn expand(value: &str, variable: Lookup<'_>) -> Result<String, Vec<Failure>> {
    let mut expanded = String::with_capacity(value.len());
    let mut failures = Vec::new();
    let mut rest = 0;
    while let Some(found) = value[rest..].find("${") {
        let start = rest + found;
        if value[rest..start].ends_with('$') {
            expanded.push_str(&value[rest..start]);
            expanded.push('{');
            rest = start + 2;
            continue;
        }
        expanded.push_str(&value[rest..start]);
        let Some(end) = value[start..].find('}').map(|end| start + end) else {
            failures.push(Failure::Malformed { range: start..value.len() });
            rest = value.len();
            break;
        };
        match resolve(&value[start + 2..end], variable) {
            Ok(text) => expanded.push_str(&text),
            Err(Reason::Malformed) => failures.push(Failure::Malformed { range: start..end + 1 }),
            Err(Reason::Unset { name, message }) => {
                failures.push(Failure::Unset { name, message, range: start..end + 1 });
            }
        }
        rest = end + 1;
    }
    expanded.push_str(&value[rest..]);
    if failures.is_empty() { Ok(expanded) } else { Err(failures) }
}

enum Reason {
    Malformed,
    Unset { name: String, message: Option<String> },
}

fn resolve(inner: &str, variable: Lookup<'_>) -> Result<String, Reason> {
    let (name, alternative) = match inner.find(":-").into_iter().chain(inner.find(":?")).min() {
        Some(at) => (&inner[..at], Some(inner[at..].split_at(2))),
        None => (inner, None),
    };
    if !is_name(name) {
        return Err(Reason::Malformed);
    }
    // As in a shell, `:-` and `:?` count an empty variable as unset.
    match (variable(name), alternative) {
        (Some(text), None) => Ok(text),
        (Some(text), Some(_)) if !text.is_empty() => Ok(text),
        (_, Some((":-", default))) => Ok(default.to_owned()),
        (_, Some((_, message))) => {
            Err(Reason::Unset { name: name.to_owned(), message: Some(message.to_owned()) })
        }
        (None, None) => Err(Reason::Unset { name: name.to_owned(), message: None }),
    }
}

fn is_name(name: &str) -> bool {
    if let Some(path) = name.strip_prefix("file.") {
        return !path.is_empty();
    }
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(value: &str) -> Result<String, Vec<Failure>> {
        expand(value, &|name| match name {
            "HOST" => Some("gateway".into()),
            "EMPTY" => Some(String::new()),
            "file./run/token" => Some("t0p".into()),
            _ => None,
        })
    }

    #[test]
    fn variables_defaults_and_files_are_filled_in() {
        assert_eq!(filled("http://${HOST}:${PORT:-4000}/").unwrap(), "http://gateway:4000/");
        assert_eq!(filled("${EMPTY}|${EMPTY:-x}|${file./run/token}").unwrap(), "|x|t0p");
        assert_eq!(filled("$${HOST} costs $5").unwrap(), "${HOST} costs $5");
    }

    #[test]
    fn every_failure_is_told() {
        let failures = filled("${A} ${B:?say b} ${ }  ${C").unwrap_err();
        assert_eq!(failures.len(), 4);
        assert_eq!(failures[0], Failure::Unset { name: "A".into(), message: None, range: 0..4 });
        assert_eq!(failures[3], Failure::Malformed { range: 23..26 });
    }
}

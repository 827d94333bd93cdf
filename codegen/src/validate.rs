//! The verdict on a query: the one file that knows apollo-compiler, whose judgement counts.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use apollo_compiler::{
    ExecutableDocument,
    diagnostic::ToCliReport,
    validation::{DiagnosticData, DiagnosticList},
};
use plan::{Diagnostic, SourceText, code::graph as codes, diagnostic::nearest};

use crate::{
    lexer::Lexer,
    prune::prune,
    schema::{Schema, TypeDef},
    template::Template,
};

/// Reports what breaks GraphQL's grammar; nothing where the text is well-formed.
pub(crate) fn syntax(source: &Arc<SourceText>) -> Vec<Diagnostic> {
    let Err(refused) = apollo_compiler::ast::Document::parse(&source.text, &source.name) else {
        return Vec::new();
    };
    findings(&refused.errors).iter().map(|finding| grammar(source, finding)).collect()
}

fn grammar(source: &Arc<SourceText>, finding: &Finding) -> Diagnostic {
    let message = plain_words(finding.message.trim_start_matches(SYNTAX));
    let help = "look at the caret and just before it: a brace, a quote or a name that is missing or too many";
    Diagnostic::error(codes::SS202, message).at(source, finding.range.clone()).help(help)
}

/// What apollo-parser writes before its own messages.
const SYNTAX: &str = "syntax error: ";

/// The parser's names of tokens as the tokens themselves.
fn plain_words(message: &str) -> String {
    let words = [
        ("R_CURLY", "`}`"),
        ("L_CURLY", "`{`"),
        ("R_PAREN", "`)`"),
        ("L_PAREN", "`(`"),
        ("R_BRACK", "`]`"),
        ("L_BRACK", "`[`"),
        ("COLON", "`:`"),
        ("<EOF>", "end of the file"),
        ("EOF", "the end of the file"),
        (", got ", ", found "),
        ("Unexpected", "unexpected"),
    ];
    let plain = words.iter().fold(message.to_owned(), |text, (from, to)| text.replace(from, to));
    plain.trim_end_matches('.').to_owned()
}

/// Proves the query valid against the part of the schema that it touches, or reports every rule that it breaks.
pub(crate) fn against(
    schema: &Schema,
    schema_source: &Arc<SourceText>,
    template: &Template,
) -> Vec<Diagnostic> {
    let source = &template.source;
    let sdl = match prune(schema, template) {
        Ok(sdl) => sdl,
        Err(missing) => {
            let report = |name: String| undefined_type(&name, schema, schema_source);
            return missing.into_iter().map(report).collect();
        }
    };
    let pruned = match apollo_compiler::Schema::parse_and_validate(sdl, &schema_source.name) {
        Ok(pruned) => pruned,
        Err(refused) => return contradictions(&refused.errors, schema_source),
    };
    let Err(refused) = ExecutableDocument::parse_and_validate(&pruned, &source.text, &source.name) else {
        return Vec::new();
    };
    let findings = findings(&refused.errors);
    // A selection whose every field is unknown counts as empty, too; the unknown fields say it all.
    let cascades = |finding: &Finding| {
        finding.rule == "MissingSubselection"
            && findings.iter().any(|other| {
                other.rule != finding.rule
                    && finding.range.start <= other.range.start
                    && other.range.end <= finding.range.end
            })
    };
    let report = |finding: &Finding| {
        if finding.message.starts_with(SYNTAX) {
            return grammar(source, finding);
        }
        let range = first_token(&source.text, &finding.range);
        let diagnostic = Diagnostic::error(codes::SS203, &finding.message).at(source, range);
        match help(finding, schema, template) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    };
    findings.iter().filter(|finding| !cascades(finding)).map(report).collect()
}

/// What apollo-compiler found.
struct Finding {
    /// Its name of the rule; empty where it has none.
    rule: &'static str,
    message: String,
    range: Range<usize>,
}

/// The findings in the order of the text, each once.
fn findings(errors: &DiagnosticList) -> Vec<Finding> {
    let mut findings: Vec<Finding> = errors.iter().map(|diagnostic| finding(diagnostic.error)).collect();
    findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
    let mut seen = BTreeSet::new();
    findings.retain(|finding| seen.insert((finding.range.start, finding.message.clone())));
    findings
}

fn finding(error: &DiagnosticData) -> Finding {
    let range = error.location().map_or(0..0, |location| location.offset()..location.end_offset());
    let rule = error.unstable_error_name().unwrap_or_default();
    Finding { rule, message: error.to_string(), range }
}

/// A caret under several lines points at nothing: the first token of them stands for all.
fn first_token(text: &str, range: &Range<usize>) -> Range<usize> {
    let Some(part) = text.get(range.clone()).filter(|part| part.contains('\n')) else { return range.clone() };
    let token = Lexer::new(part).find_map(Result::ok);
    token.map_or(range.clone(), |token| range.start + token.range.start..range.start + token.range.end)
}

fn undefined_type(name: &str, schema: &Schema, source: &Arc<SourceText>) -> Diagnostic {
    let user = schema.types.values().find_map(|ty| {
        let field = ty.fields.iter().find(|field| field.ty.name() == name)?;
        Some(format!(", which {}.{} names,", ty.name, field.name))
    });
    let message = format!("the type {name}{} is not defined in the schema", user.unwrap_or_default());
    let found = source.text.find(name).map_or(0..0, |at| at..at + name.len());
    Diagnostic::error(codes::SS201, message)
        .at(source, found)
        .help("the schema is cut or broken: fetch it anew")
}

fn contradictions(errors: &DiagnosticList, source: &Arc<SourceText>) -> Vec<Diagnostic> {
    let report = |finding: Finding| {
        // Its place is in the pruned text, which the user never sees; the first name in the message is in both.
        let name = finding.message.split('`').nth(1).unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default();
        let found = if name.is_empty() { None } else { source.text.find(name) };
        let message = format!("the schema contradicts itself: {}", finding.message);
        let range = found.map_or(0..0, |at| at..at + name.len());
        Diagnostic::error(codes::SS201, message).at(source, range).help("compose or fetch the schema anew")
    };
    findings(errors).into_iter().map(report).collect()
}

/// The nearest name, where a name is unknown.
fn help(finding: &Finding, schema: &Schema, template: &Template) -> Option<String> {
    let quoted: Vec<&str> = finding.message.split('`').skip(1).step_by(2).collect();
    let did_you_mean = |near: Option<&str>| near.map(|near| format!("did you mean `{near}`?"));
    let known = |what: &str, names: Vec<&str>| match names.len() {
        0 => None,
        1..=12 => Some(format!("{what}: {}", names.join(", "))),
        _ => Some(format!("{what}: {}, …", names[..12].join(", "))),
    };
    match finding.rule {
        "UndefinedField" => {
            let (ty, field) = (schema.get(quoted.first()?)?, *quoted.get(1)?);
            let names: Vec<&str> = ty.fields.iter().map(|field| field.name.as_str()).collect();
            did_you_mean(nearest(field, names.iter().copied()))
                .or_else(|| known(&format!("fields of {}", ty.name), names))
        }
        "UndefinedArgument" => {
            let (ty, field) = quoted.get(1)?.split_once('.')?;
            let field = field.split('(').next()?;
            let arguments = &schema.get(ty)?.field(field)?.arguments;
            let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
            did_you_mean(nearest(quoted.first()?, names.iter().copied()))
                .or_else(|| known(&format!("arguments of {ty}.{field}"), names))
        }
        "UndefinedDefinition"
        | "UndefinedTypeInInlineFragmentTypeCondition"
        | "UndefinedTypeInNamedFragmentTypeCondition" => {
            did_you_mean(nearest(quoted.first()?, schema.types.keys().map(String::as_str)))
        }
        "UndefinedFragment" => {
            let names = template.fragments.iter().map(|(name, _)| name.as_str());
            let name = quoted.first()?;
            did_you_mean(nearest(name, names))
                .or_else(|| Some(format!("define it: `fragment {name} on … {{ … }}`")))
        }
        "UndefinedVariable" => {
            let definitions = &template.operation.variable_definitions;
            let names = definitions.iter().map(|definition| definition.node.name.node.as_str());
            let name = quoted.first()?.trim_start_matches('$');
            let near = nearest(name, names).map(|near| format!("did you mean `${near}`?"));
            near.or_else(|| Some(format!("declare it: `query {}(${name}: …)`", template.name)))
        }
        "UndefinedEnumValue" => {
            let ty = schema.get(quoted.get(1)?)?;
            let values: Vec<&str> = ty.values.iter().map(String::as_str).collect();
            did_you_mean(nearest(quoted.first()?, values.iter().copied()))
                .or_else(|| known(&format!("values of {}", ty.name), values))
        }
        "UndefinedInputValue" => {
            let ty: &TypeDef = schema.get(quoted.get(1)?)?;
            let names: Vec<&str> = ty.inputs.iter().map(|input| input.name.as_str()).collect();
            did_you_mean(nearest(quoted.first()?, names.iter().copied()))
                .or_else(|| known(&format!("fields of {}", ty.name), names))
        }
        "UndefinedDirective" => Some("studio-search and the gateway know `@include` and `@skip`".to_owned()),
        "UnusedVariable" => Some("use it, or remove its declaration".to_owned()),
        "UnusedFragment" => Some("spread it somewhere, or remove it".to_owned()),
        "MissingSubselection" => Some("say which fields to read: `{ … }`".to_owned()),
        "RequiredArgument" => Some("give the argument a value".to_owned()),
        "SubselectionOnScalarType" | "SubselectionOnEnumType" => {
            Some("remove the braces: it has no fields".to_owned())
        }
        "ConflictingFieldName" | "ConflictingFieldType" | "ConflictingFieldArgument" => {
            Some("give one of the two another alias".to_owned())
        }
        "RecursiveFragmentDefinition" => Some("a document has an end: write its levels out".to_owned()),
        "InvalidFragmentSpread" => {
            Some("no value can be of both types, so it would never answer anything".to_owned())
        }
        "DisallowedVariableUsage" => {
            let wanted = quoted.last()?;
            Some(format!("declare the variable as the argument's type, `{wanted}`"))
        }
        _ => None,
    }
}

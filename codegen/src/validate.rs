//! The verdict on a query: the one file that knows apollo-compiler, whose judgement counts.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use apollo_compiler::{
    ast::{self, Definition},
    diagnostic::ToCliReport,
    validation::{DiagnosticData, DiagnosticList},
};
use plan::{Diagnostic, SourceText, code::graph as codes, diagnostic::nearest};

use crate::{
    lexer::{Kind, Lexer, Token},
    prune::{BUILT_IN, prune},
    rules::{self, Finding},
    schema::{Schema, TypeDef},
    spelling, template,
};

/// Reports what breaks GraphQL's grammar; nothing where the text is well-formed.
pub(crate) fn syntax(source: &Arc<SourceText>, tokens: &[Token]) -> Vec<Diagnostic> {
    let readable = spelling::without_descriptions(&source.text, tokens);
    let Err(refused) = ast::Document::parse(readable.as_ref(), &source.name) else {
        return Vec::new();
    };
    findings(&refused.errors).iter().map(|finding| grammar(source, finding)).collect()
}

fn grammar(source: &Arc<SourceText>, finding: &Finding) -> Diagnostic {
    let message = plain_words(finding.message.trim_start_matches(SYNTAX));
    let help = "look at the caret and just before it: a brace, a quote or a name that is missing or too many";
    let mut range = finding.range.clone();
    // What is wrong there is what follows the dots.
    if source.text.get(range.clone()) == Some("...")
        && let Some(Ok(next)) = Lexer::starting(&source.text, range.end)
            .find(|token| token.as_ref().is_ok_and(|token| token.kind != Kind::Comment))
    {
        range = next.range;
    }
    Diagnostic::error(codes::SS202, message).at(source, range).help(help)
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
    source: &Arc<SourceText>,
) -> Vec<Diagnostic> {
    let tokens = match template::tokens(source) {
        Ok(tokens) => tokens,
        Err(diagnostics) => return diagnostics,
    };
    let readable = spelling::without_descriptions(&source.text, &tokens);
    let sdl = prune(schema, &source.text, &tokens);
    let failures = schema.failures();
    if !failures.is_empty() {
        return failures;
    }
    let sdl = match sdl {
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
    let document = match ast::Document::parse(readable.as_ref(), &source.name) {
        Ok(document) => document,
        Err(refused) => return findings(&refused.errors).iter().map(|one| grammar(source, one)).collect(),
    };
    let mut findings = match document.to_executable_validate(&pruned) {
        Ok(_) => Vec::new(),
        Err(refused) => findings(&refused.errors),
    };
    findings.retain(|finding| {
        !rules::REPLACED.contains(&finding.rule) && !is_echo(finding, schema, source, &tokens)
    });
    findings.extend(rules::findings(schema, &document));
    findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
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
        let range = pointed_at(finding, &source.text, &tokens);
        let help = help(finding, schema, &document).unwrap_or_else(|| general_help(finding.rule).to_owned());
        Diagnostic::error(codes::SS203, &finding.message).at(source, range).help(help)
    };
    findings.iter().filter(|finding| !cascades(finding)).map(report).collect()
}

/// Whether a finding only repeats what another one says: graphql-js is silent there, and so should we be.
fn is_echo(finding: &Finding, schema: &Schema, source: &SourceText, tokens: &[Token]) -> bool {
    let mut quoted = finding.message.split('`').skip(1).step_by(2);
    let is_leaf =
        |name: &str| BUILT_IN.contains(&name) || schema.get(name).is_some_and(|ty| !ty.is_composite());
    match finding.rule {
        // A condition on what has no fields is told at the condition.
        "InvalidFragmentSpread" => quoted.any(is_leaf),
        "UndefinedField" => quoted.next().is_some_and(is_leaf),
        // A required argument that is there, but null, is told at the null.
        "RequiredArgument" => {
            let Some((_, name)) = quoted.next().and_then(|place| place.split_once('(')) else { return false };
            let name = name.trim_end_matches([':', ')']);
            is_given(name, finding.range.start, &source.text, tokens)
        }
        _ => false,
    }
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

/// Whether the field or directive that begins at a byte has this argument.
fn is_given(argument: &str, start: usize, text: &str, tokens: &[Token]) -> bool {
    let mut tokens = tokens
        .iter()
        .filter(|token| token.range.start >= start && token.kind != Kind::Comment)
        .skip_while(|token| token.kind == Kind::Punctuator(b'@'))
        .skip(1)
        .peekable();
    if tokens.next_if(|token| token.kind == Kind::Punctuator(b':')).is_some() {
        tokens.next();
    }
    if tokens.peek().is_none_or(|token| token.kind != Kind::Punctuator(b'(')) {
        return false;
    }
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Punctuator(b'(' | b'[' | b'{') => depth += 1,
            Kind::Punctuator(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Kind::Name if depth == 1 && &text[token.range.clone()] == argument => return true,
            _ => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}

/// The part of a finding's range that a caret should stand under, on the line that graphql-js names.
fn pointed_at(finding: &Finding, text: &str, tokens: &[Token]) -> Range<usize> {
    let first = tokens.partition_point(|token| token.range.start < finding.range.start);
    match finding.rule {
        // The braces that are too many.
        "SubselectionOnScalarType" | "SubselectionOnEnumType" => {
            let mut depth = 0_usize;
            let braces = tokens[first..].iter().find(|token| {
                match token.kind {
                    Kind::Punctuator(b'(') => depth += 1,
                    Kind::Punctuator(b')') => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0 && token.kind == Kind::Punctuator(b'{')
            });
            braces.map_or(finding.range.clone(), |token| token.range.clone())
        }
        // A field begins with its alias, which may stand on a line of its own.
        "UndefinedField" if first >= 2 && tokens[first - 1].kind == Kind::Punctuator(b':') => {
            let alias = &tokens[first - 2].range;
            let apart = text[alias.start..finding.range.start].contains('\n');
            if apart { alias.clone() } else { finding.range.clone() }
        }
        _ => first_token(text, &finding.range),
    }
}

/// A caret under several lines points at nothing: the first token of them stands for all.
fn first_token(text: &str, range: &Range<usize>) -> Range<usize> {
    let Some(part) = text.get(range.clone()).filter(|part| part.contains('\n')) else { return range.clone() };
    let token = Lexer::new(part).find_map(Result::ok);
    token.map_or(range.clone(), |token| range.start + token.range.start..range.start + token.range.end)
}

fn undefined_type(name: &str, schema: &Schema, source: &Arc<SourceText>) -> Diagnostic {
    let user = schema.read().find_map(|ty| {
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
fn help(finding: &Finding, schema: &Schema, document: &ast::Document) -> Option<String> {
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
            did_you_mean(nearest(quoted.first()?, schema.names().map(|(name, _)| name)))
        }
        "UndefinedFragment" => {
            let names = document.definitions.iter().filter_map(|definition| match definition {
                Definition::FragmentDefinition(fragment) => Some(fragment.name.as_str()),
                _ => None,
            });
            let name = quoted.first()?;
            did_you_mean(nearest(name, names))
                .or_else(|| Some(format!("define it: `fragment {name} on … {{ … }}`")))
        }
        "UndefinedVariable" => {
            let operation = document.definitions.iter().find_map(|definition| match definition {
                Definition::OperationDefinition(operation) => Some(operation),
                _ => None,
            })?;
            let names = operation.variables.iter().map(|definition| definition.name.as_str());
            let name = quoted.first()?.trim_start_matches('$');
            let near = nearest(name, names).map(|near| format!("did you mean `${near}`?"));
            near.or_else(|| {
                Some(format!(
                    "declare it: `query {}(${name}: …)`",
                    operation.name.as_ref().map_or("", |name| name.as_str())
                ))
            })
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
        "UniqueInputField" => Some("keep one of them".to_owned()),
        "DisallowedVariableUsage" => {
            let wanted = quoted.last()?;
            Some(format!("declare the variable as the argument's type, `{wanted}`"))
        }
        _ => None,
    }
}

/// The mend of a rule that names nothing, or where no name is near.
fn general_help(rule: &str) -> &'static str {
    match rule {
        "UndefinedField" => "it has no fields: remove what is read below it",
        "UndefinedArgument" => "it takes no arguments: remove this one",
        "UndefinedInputValue" => "remove it: the input type has no such field",
        "UndefinedEnumValue" => "write one of the enum's values, without quotes",
        "UndefinedDefinition"
        | "UndefinedTypeInInlineFragmentTypeCondition"
        | "UndefinedTypeInNamedFragmentTypeCondition" => "name a type of the schema",
        "UniqueVariable" | "UniqueArgument" | "UniqueInputValue" | "UniqueDirective" => "keep one of them",
        "OperationNameCollision" | "FragmentNameCollision" => "give one of the two another name",
        "AmbiguousAnonymousOperation" => "keep one query in the file; every index has a file of its own",
        "UndefinedRootOperation" | "TypeSystemDefinition" => "a document is fetched by a query",
        "RequiredField" => "give the field a value",
        "OneOf" => "give one of its fields, and leave the others out",
        "InvalidFragmentTarget" => "a condition names an object, an interface or a union",
        "VariableInputType" => "a variable has a scalar, an enum or an input type",
        "UnsupportedLocation" => "remove the directive here, or put it where its definition allows it",
        "UnsupportedValueType" | "IntCoercionError" | "FloatCoercionError" => {
            "write a value of this type: numbers without quotes, texts with them, enum values without"
        }
        "RecursionError" | "DeeplyNestedType" => "read less, or write its levels out",
        "" => "leave `__schema` and `__type` out: a document reads data",
        _ => "change it as the message says; a gateway with this schema refuses it",
    }
}

//! A query file, parsed: one operation, its fragments, and the places of everything in the user's text.

use std::{cell::OnceCell, collections::BTreeMap, ops::Range, sync::Arc};

use async_graphql_parser::{
    Error, Pos, Positioned,
    types::{
        DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
        OperationType, Selection, SelectionSet,
    },
};
use async_graphql_value::Name;
use plan::{Code, Diagnostic, SourceText, code::graph as codes};

use crate::{
    lexer::{Kind, Lexer, Token},
    position,
    schema::{Schema, TypeKind},
    spelling, validate,
};

/// The largest query, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Brackets inside each other at most: the parser's own limit, checked before its recursion begins.
const MAX_DEPTH: usize = 64;

/// Tokens at most, comments included: 2,000 fields with their arguments have a tenth of them.
const MAX_TOKENS: usize = 50_000;

/// Selections after each fragment is put in wherever it is spread, at most. Far above any document, far below what
/// fragments that spread each other twice reach: every reader after this one may walk them all.
const MAX_SELECTIONS: usize = 100_000;

/// A parsed query file.
pub(crate) struct Template {
    pub(crate) source: Arc<SourceText>,
    /// The operation's name; for an anonymous one the name that was asked for.
    pub(crate) name: String,
    pub(crate) operation: OperationDefinition,
    /// In the order of the text.
    pub(crate) fragments: Vec<(String, FragmentDefinition)>,
    tokens: Vec<Token>,
    /// The byte at which each line starts.
    lines: OnceCell<Vec<usize>>,
    /// Where each line of the respelled text began, where the text had to be spelled anew to be parsed.
    starts: Option<Vec<usize>>,
}

impl Template {
    /// Parses a file with one query operation. `name` is for an operation that has none.
    pub(crate) fn parse(source: &Arc<SourceText>, name: &str) -> Result<Self, Vec<Diagnostic>> {
        let tokens = tokens(source)?;
        // Inside of strings GraphQL allows it; no gateway, store or terminal is happy with it.
        if let Some(at) = source.text.find('\0') {
            let help = "remove it; in a text write `\\u0000`";
            return Err(vec![report(source, codes::SS202, &(at..at + 1), "there is a NUL byte here", help)]);
        }
        let (document, starts) = document(source, &tokens)?;
        let at = |pos: Pos| match &starts {
            Some(starts) => written_at(starts, pos),
            None => position::offset(&source.text, pos.line, pos.column),
        };
        let (name, operation) = match sole_operation(document.operations, name) {
            Ok(found) => found,
            Err(pos) => {
                let start = at(pos);
                let help = "keep one query in the file; every index has a file of its own";
                return Err(vec![report(
                    source,
                    codes::SS205,
                    &token_at(&tokens, start),
                    "this is a second operation",
                    help,
                )]);
            }
        };
        if operation.node.ty != OperationType::Query {
            let message = format!("this is a {}, not a query", operation.node.ty);
            let range = token_at(&tokens, at(operation.pos));
            return Err(vec![report(
                source,
                codes::SS205,
                &range,
                message,
                "a document is fetched by a query",
            )]);
        }
        let fragments = in_order(document.fragments);
        let lines = OnceCell::new();
        let template = Self {
            source: Arc::clone(source),
            name,
            operation: operation.node,
            fragments,
            tokens,
            lines,
            starts,
        };
        let selections = template.expanded(&template.operation.selection_set.node, &mut BTreeMap::new());
        if selections > MAX_SELECTIONS {
            let message =
                format!("the fragments of the query multiply to more than {MAX_SELECTIONS} selections");
            let help = "spread each fragment where it is needed only, or read less";
            return Err(vec![report(source, codes::SS224, &(0..0), &message, help)]);
        }
        Ok(template)
    }

    /// How many selections there are when fragments are put in; `known` has what was counted of each fragment.
    fn expanded<'t>(&'t self, selections: &'t SelectionSet, known: &mut BTreeMap<&'t str, usize>) -> usize {
        let mut count = 0_usize;
        for selection in &selections.items {
            let below = match &selection.node {
                Selection::Field(field) => self.expanded(&field.node.selection_set.node, known),
                Selection::InlineFragment(fragment) => {
                    self.expanded(&fragment.node.selection_set.node, known)
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    match (known.get(name), self.fragment(name)) {
                        (Some(counted), _) => *counted,
                        (None, None) => 0,
                        (None, Some(fragment)) => {
                            // A fragment that spreads itself is the validator's to refuse; here it must only end.
                            known.insert(name, 0);
                            let counted = self.expanded(&fragment.selection_set.node, known);
                            known.insert(name, counted);
                            counted
                        }
                    }
                }
            };
            count = count.saturating_add(below).saturating_add(1);
        }
        count
    }

    pub(crate) fn fragment(&self, name: &str) -> Option<&FragmentDefinition> {
        self.fragments.iter().find(|(known, _)| known == name).map(|(_, fragment)| fragment)
    }

    /// The token that stands at a position, in bytes.
    pub(crate) fn range(&self, pos: Pos) -> Range<usize> {
        token_at(&self.tokens, self.offset(pos))
    }

    fn offset(&self, pos: Pos) -> usize {
        let text = &self.source.text;
        if let Some(starts) = &self.starts {
            return written_at(starts, pos);
        }
        let lines = self.lines.get_or_init(|| {
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        });
        let Some(&start) = lines.get(pos.line.saturating_sub(1)) else { return text.len() };
        start + position::offset(text[start..].split('\n').next().unwrap_or_default(), 1, pos.column)
    }

    /// What the comment on a field says: the lines above it, or else the one behind it.
    pub(crate) fn comment(&self, pos: Pos) -> Option<String> {
        let text = &self.source.text;
        let start = self.offset(pos);
        let index = self.tokens.partition_point(|token| token.range.start < start);
        // A comment belongs to the field that begins its line.
        let breaks = |from: usize, to: usize| text.get(from..to).unwrap_or_default().matches('\n').count();
        let previous_end = index.checked_sub(1).map_or(0, |n| self.tokens[n].range.end);
        if index > 0 && breaks(previous_end, start) == 0 {
            return None;
        }
        let mut above = Vec::new();
        let mut next_start = start;
        for token in self.tokens[..index].iter().rev() {
            let own_line =
                text[..token.range.start].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
            if token.kind != Kind::Comment || !own_line || breaks(token.range.end, next_start) != 1 {
                break;
            }
            above.push(comment_text(text, token));
            next_start = token.range.start;
        }
        above.reverse();
        if above.is_empty() {
            let behind =
                self.tokens[index..].iter().take_while(|token| breaks(start, token.range.start) == 0);
            above.extend(
                behind.filter(|token| token.kind == Kind::Comment).map(|token| comment_text(text, token)),
            );
        }
        let doc = above.join(" ").trim().to_owned();
        (!doc.is_empty()).then_some(doc)
    }

    pub(crate) fn error(
        &self,
        code: Code,
        pos: Pos,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        report(&self.source, code, &self.range(pos), message, help)
    }

    /// Selects `__typename` wherever an interface or a union is read, so that documents tell what they carry.
    ///
    /// A `__typename` beside the root field, which some clients add everywhere, is left out: it says "Query".
    pub(crate) fn add_typenames(&mut self, schema: &Schema) {
        let Self { operation, fragments, .. } = self;
        let roots = &mut operation.selection_set.node.items;
        if roots.iter().any(|root| !is_typename(&root.node)) {
            roots.retain(|root| !is_typename(&root.node));
        }
        add_typenames(schema, &schema.query, &mut operation.selection_set.node);
        for (_, fragment) in fragments {
            let parent = fragment.type_condition.node.on.node.to_string();
            add_typenames(schema, &parent, &mut fragment.selection_set.node);
        }
    }
}

fn add_typenames(schema: &Schema, parent: &str, selections: &mut SelectionSet) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => {
                let definition = schema.get(parent).and_then(|parent| parent.field(&field.node.name.node));
                let Some(ty) = definition.and_then(|definition| schema.get(definition.ty.name())) else {
                    continue;
                };
                let inner = &mut field.node.selection_set.node;
                if matches!(ty.kind, TypeKind::Interface | TypeKind::Union) && !selects_typename(inner) {
                    inner.items.insert(0, typename());
                }
                add_typenames(schema, &ty.name, inner);
            }
            Selection::InlineFragment(fragment) => {
                let on =
                    fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.to_string());
                add_typenames(schema, on.as_deref().unwrap_or(parent), &mut fragment.node.selection_set.node);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn selects_typename(selections: &SelectionSet) -> bool {
    selections.items.iter().any(|selection| is_typename(&selection.node))
}

fn is_typename(selection: &Selection) -> bool {
    match selection {
        Selection::Field(field) => {
            field.node.name.node == "__typename"
                && field.node.alias.is_none()
                && field.node.directives.is_empty()
        }
        _ => false,
    }
}

fn typename() -> Positioned<Selection> {
    let field = Field {
        alias: None,
        name: Positioned::new(Name::new("__typename"), Pos::default()),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, Pos::default())), Pos::default())
}

fn report(
    source: &Arc<SourceText>,
    code: Code,
    range: &Range<usize>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Diagnostic {
    Diagnostic::error(code, message).at(source, range.clone()).help(help)
}

/// The tokens of the file, unless it is larger or deeper than anything that should be parsed.
pub(crate) fn tokens(source: &Arc<SourceText>) -> Result<Vec<Token>, Vec<Diagnostic>> {
    let help = "split the document into two indexes, or read less";
    if source.text.len() > MAX_BYTES {
        let message = format!("the query has {} bytes", source.text.len());
        return Err(vec![report(source, codes::SS224, &(0..0), message, help)]);
    }
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    for token in Lexer::new(&source.text) {
        let Ok(token) = token else { break };
        match token.kind {
            Kind::Punctuator(b'{' | b'(' | b'[') => depth += 1,
            Kind::Punctuator(b'}' | b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("the query is nested deeper than {MAX_DEPTH} levels");
            return Err(vec![report(source, codes::SS224, &token.range, message, help)]);
        }
        if tokens.len() == MAX_TOKENS {
            let message = format!("the query has more than {MAX_TOKENS} words and signs");
            return Err(vec![report(source, codes::SS224, &token.range, message, help)]);
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn token_at(tokens: &[Token], start: usize) -> Range<usize> {
    let index = tokens.partition_point(|token| token.range.start < start);
    tokens
        .get(index)
        .filter(|token| token.range.start == start)
        .map_or(start..start, |token| token.range.clone())
}

fn comment_text<'t>(text: &'t str, token: &Token) -> &'t str {
    text[token.range.clone()].trim_start_matches('#').trim()
}

/// The one operation with its name, or the position of the second one.
fn sole_operation(
    operations: DocumentOperations,
    name: &str,
) -> Result<(String, Positioned<OperationDefinition>), Pos> {
    let operations = match operations {
        DocumentOperations::Single(operation) => return Ok((name.to_owned(), operation)),
        DocumentOperations::Multiple(operations) => operations,
    };
    let mut operations: Vec<_> = operations.into_iter().collect();
    operations.sort_by_key(|(_, operation)| operation.pos);
    match operations.get(1) {
        Some((_, second)) => Err(second.pos),
        None => {
            operations.pop().map(|(name, operation)| (name.to_string(), operation)).ok_or_else(Pos::default)
        }
    }
}

fn in_order(
    fragments: std::collections::HashMap<Name, Positioned<FragmentDefinition>>,
) -> Vec<(String, FragmentDefinition)> {
    let mut fragments: Vec<_> = fragments.into_iter().collect();
    fragments.sort_by_key(|(_, fragment)| fragment.pos);
    fragments.into_iter().map(|(name, fragment)| (name.to_string(), fragment.node)).collect()
}

/// The syntax tree; for a text that had to be spelled anew, with the places of its lines in the user's text.
fn document(
    source: &Arc<SourceText>,
    tokens: &[Token],
) -> Result<(ExecutableDocument, Option<Vec<usize>>), Vec<Diagnostic>> {
    let refused = match async_graphql_parser::parse_query(&source.text) {
        Ok(document) => return Ok((document, None)),
        Err(refused) => refused,
    };
    let at = |pos: Pos| position::offset(&source.text, pos.line, pos.column);
    if let Some(diagnostics) = refusal(source, tokens, &refused, &at) {
        return Err(diagnostics);
    }
    let diagnostics = validate::syntax(source, tokens);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let respelled = spelling::respell(&source.text, tokens);
    match async_graphql_parser::parse_query(&respelled.text) {
        Ok(mut document) => {
            respelled.restore(&mut document);
            Ok((document, Some(respelled.starts)))
        }
        Err(refused) => {
            let at = |pos: Pos| written_at(&respelled.starts, pos);
            Err(refusal(source, tokens, &refused, &at).unwrap_or_else(|| {
                // A name that stands alone is refused for what doesn't follow it.
                let start = refused.positions().next().map_or(0, at);
                let n = tokens.partition_point(|token| token.range.start < start);
                let is_name = tokens.get(n).is_some_and(|token| token.kind == Kind::Name);
                let range =
                    tokens.get(n + usize::from(is_name)).map_or(start..start, |token| token.range.clone());
                let help =
                    "look at the caret and just before it; if it is GraphQL, write the same in another way";
                vec![report(source, codes::SS204, &range, "this part can't be read", help)]
            }))
        }
    }
}

/// Where in the user's text the token stands that has this line of its own.
fn written_at(starts: &[usize], pos: Pos) -> usize {
    starts.get(pos.line.saturating_sub(1)).copied().unwrap_or_default()
}

/// Explains why a text is no template, where it isn't for its grammar.
fn refusal(
    source: &Arc<SourceText>,
    tokens: &[Token],
    error: &Error,
    at: &dyn Fn(Pos) -> usize,
) -> Option<Vec<Diagnostic>> {
    let range = token_at(tokens, error.positions().next().map_or(0, at));
    let (code, range, message, help) = match error {
        Error::MissingOperation => (
            codes::SS205,
            0..0,
            "the file holds no operation".to_owned(),
            "write one: `query Name($id: ID!) { … }`",
        ),
        Error::MultipleOperations { .. } | Error::OperationDuplicated { .. } => (
            codes::SS205,
            range,
            "the file holds more than one operation".to_owned(),
            "keep one query in the file; every index has a file of its own",
        ),
        Error::FragmentDuplicated { fragment, .. } => (
            codes::SS203,
            range,
            format!("the fragment {fragment} is defined twice"),
            "rename one of the two",
        ),
        _ => return None,
    };
    Some(vec![report(source, code, &range, message, help)])
}

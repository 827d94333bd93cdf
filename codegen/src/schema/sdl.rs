//! Schema definition language, read leniently: what a schema means is judged later, and only where a query touches it.

use std::{ops::Range, sync::Arc};

use plan::{Diagnostic, SourceText, code::graph as codes};

use super::{DirectiveDef, FieldDef, InputDef, TypeDef, TypeKind, TypeRef};
use crate::lexer::{self, Kind, Lexer, Token};

/// Lists around a type, and values inside values, at most.
const MAX_DEPTH: usize = 64;

/// A schema as written: definitions with the directives on them.
#[derive(Default)]
pub(super) struct Document {
    pub(super) types: Vec<Definition>,
    pub(super) directives: Vec<(String, DirectiveDef)>,
    /// The type behind `query:` of the schema definition.
    pub(super) query: Option<String>,
}

/// A type or an extension of one.
pub(super) struct Definition {
    pub(super) ty: TypeDef,
    pub(super) range: Range<usize>,
    pub(super) is_extension: bool,
    pub(super) directives: Vec<Directive>,
    /// The directives on each field, in the order of the fields.
    pub(super) field_directives: Vec<Vec<Directive>>,
    /// The directives on each enum value.
    pub(super) value_directives: Vec<Vec<Directive>>,
}

/// A directive that is applied.
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Argument)>,
}

/// The value of a directive's argument, as far as federation needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument {
    String(String),
    /// An enum value, a number or a boolean, as written.
    Word(String),
    /// A list or an object.
    Other,
}

impl Directive {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(argument, _)| argument == name).and_then(|(_, value)| match value {
            Argument::String(text) | Argument::Word(text) => Some(text.as_str()),
            Argument::Other => None,
        })
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }
}

/// Why reading stopped; every step of the reader ends with this at the first mistake.
type Step<T> = Result<T, (String, Range<usize>)>;

pub(super) fn parse(source: &Arc<SourceText>) -> Result<Document, Box<Diagnostic>> {
    read(&source.text).map_err(|(message, range)| {
        let help = "this must be a supergraph SDL, a plain SDL, or the JSON answer of an introspection";
        Box::new(Diagnostic::error(codes::SS201, message).at(source, range).help(help))
    })
}

fn read(text: &str) -> Step<Document> {
    let mut tokens = Vec::new();
    for token in Lexer::new(text) {
        let token = token.map_err(|error| (error.message.to_owned(), error.range))?;
        if token.kind != Kind::Comment {
            tokens.push(token);
        }
    }
    let mut parser = Parser { text, tokens: &tokens, at: 0 };
    let mut document = Document::default();
    while parser.peek().is_some() {
        parser.definition(&mut document)?;
    }
    if document.types.is_empty() {
        return Err(("the schema defines no type".into(), 0..0));
    }
    Ok(document)
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    fn peek_word(&self) -> &'t str {
        self.peek().map_or("", |token| &self.text[token.range.clone()])
    }

    fn is_punctuator(&self, byte: u8) -> bool {
        self.peek().is_some_and(|token| token.kind == Kind::Punctuator(byte))
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.is_punctuator(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == Kind::Name) && self.peek_word() == word;
        self.at += usize::from(found);
        found
    }

    fn unexpected<T>(&self, wanted: &str) -> Step<T> {
        match self.peek() {
            Some(token) => {
                let found = &self.text[token.range.clone()];
                let found: String = found.chars().take(40).collect();
                Err((format!("expected {wanted}, found `{found}`"), token.range.clone()))
            }
            None => Err((
                format!("expected {wanted}, found the end of the schema"),
                self.text.len()..self.text.len(),
            )),
        }
    }

    fn expect(&mut self, byte: u8) -> Step<()> {
        if self.eat(byte) { Ok(()) } else { self.unexpected(&format!("`{}`", char::from(byte))) }
    }

    fn name(&mut self) -> Step<String> {
        match self.peek() {
            Some(token) if token.kind == Kind::Name => {
                self.at += 1;
                Ok(self.text[token.range.clone()].to_owned())
            }
            _ => self.unexpected("a name"),
        }
    }

    fn description(&mut self) -> Option<String> {
        let token = self.peek().filter(|token| matches!(token.kind, Kind::String | Kind::BlockString))?;
        self.at += 1;
        Some(lexer::string_value(token, self.text)).filter(|doc| !doc.trim().is_empty())
    }

    fn definition(&mut self, document: &mut Document) -> Step<()> {
        self.description();
        let is_extension = self.eat_word("extend");
        let start = self.peek().map_or(self.text.len(), |token| token.range.start);
        let kind = match self.peek_word() {
            "schema" => return self.schema(document),
            "directive" if !is_extension => return self.directive_definition(document),
            "scalar" => TypeKind::Scalar,
            "type" => TypeKind::Object,
            "interface" => TypeKind::Interface,
            "union" => TypeKind::Union,
            "enum" => TypeKind::Enum,
            "input" => TypeKind::Input,
            "query" | "mutation" | "subscription" | "fragment" | "{" => {
                return Err((
                    "this is a query, not a schema".into(),
                    self.peek().map_or(0..0, |token| token.range.clone()),
                ));
            }
            _ => return self.unexpected("a definition such as `type`, `interface` or `enum`"),
        };
        self.at += 1;
        let name = self.name()?;
        let range = start..self.tokens.get(self.at - 1).map_or(start, |token| token.range.end);
        let mut definition = Definition {
            ty: TypeDef { name, kind, ..TypeDef::default() },
            range,
            is_extension,
            directives: Vec::new(),
            field_directives: Vec::new(),
            value_directives: Vec::new(),
        };
        if self.eat_word("implements") {
            self.eat(b'&');
            definition.ty.interfaces.push(self.name()?);
            while self.eat(b'&')
                || self.peek().is_some_and(|token| token.kind == Kind::Name && !self.starts_definition())
            {
                definition.ty.interfaces.push(self.name()?);
            }
        }
        definition.directives = self.directives()?;
        match kind {
            TypeKind::Object | TypeKind::Interface => self.fields(&mut definition)?,
            TypeKind::Union => self.members(&mut definition)?,
            TypeKind::Enum => self.values(&mut definition)?,
            TypeKind::Input => definition.ty.inputs = self.inputs(b'{', b'}')?,
            TypeKind::Scalar => {}
        }
        document.types.push(definition);
        Ok(())
    }

    /// Old SDL lists interfaces without `&`; a following definition must not be taken for one.
    fn starts_definition(&self) -> bool {
        let words =
            ["schema", "directive", "scalar", "type", "interface", "union", "enum", "input", "extend"];
        words.contains(&self.peek_word())
    }

    fn schema(&mut self, document: &mut Document) -> Step<()> {
        self.at += 1;
        self.directives()?;
        if !self.eat(b'{') {
            return Ok(());
        }
        while !self.eat(b'}') {
            let operation = self.name()?;
            self.expect(b':')?;
            let name = self.name()?;
            self.directives()?;
            if operation == "query" {
                document.query = Some(name);
            }
        }
        Ok(())
    }

    fn directive_definition(&mut self, document: &mut Document) -> Step<()> {
        self.at += 1;
        self.expect(b'@')?;
        let name = self.name()?;
        let arguments = self.inputs(b'(', b')')?;
        let repeatable = self.eat_word("repeatable");
        if !self.eat_word("on") {
            return self.unexpected("`on`");
        }
        self.eat(b'|');
        let mut locations = vec![self.name()?];
        while self.eat(b'|') {
            locations.push(self.name()?);
        }
        document.directives.push((name, DirectiveDef { arguments, repeatable, locations }));
        Ok(())
    }

    fn fields(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'{') {
            return Ok(());
        }
        while !self.eat(b'}') {
            let doc = self.description();
            let name = self.name()?;
            let arguments = self.inputs(b'(', b')')?;
            self.expect(b':')?;
            let ty = self.type_ref()?;
            definition.field_directives.push(self.directives()?);
            definition.ty.fields.push(FieldDef { name, doc, arguments, ty, ..FieldDef::default() });
        }
        Ok(())
    }

    fn members(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'=') {
            return Ok(());
        }
        self.eat(b'|');
        definition.ty.members.push(self.name()?);
        while self.eat(b'|') {
            definition.ty.members.push(self.name()?);
        }
        Ok(())
    }

    fn values(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'{') {
            return Ok(());
        }
        while !self.eat(b'}') {
            self.description();
            definition.ty.values.push(self.name()?);
            definition.value_directives.push(self.directives()?);
        }
        Ok(())
    }

    fn inputs(&mut self, open: u8, close: u8) -> Step<Vec<InputDef>> {
        let mut inputs = Vec::new();
        if !self.eat(open) {
            return Ok(inputs);
        }
        while !self.eat(close) {
            self.description();
            let name = self.name()?;
            self.expect(b':')?;
            let ty = self.type_ref()?;
            let default = if self.eat(b'=') { Some(self.value_text()?) } else { None };
            self.directives()?;
            inputs.push(InputDef { name, ty, default });
        }
        Ok(inputs)
    }

    fn type_ref(&mut self) -> Step<TypeRef> {
        let mut lists = 0;
        while self.eat(b'[') {
            lists += 1;
            if lists > MAX_DEPTH {
                return self.unexpected("a type with fewer lists around it");
            }
        }
        let mut ty = TypeRef::Named(self.name()?);
        loop {
            if self.eat(b'!') {
                ty = TypeRef::NonNull(Box::new(ty));
            }
            if lists == 0 {
                return Ok(ty);
            }
            self.expect(b']')?;
            lists -= 1;
            ty = TypeRef::List(Box::new(ty));
        }
    }

    fn directives(&mut self) -> Step<Vec<Directive>> {
        let mut directives = Vec::new();
        while self.eat(b'@') {
            let name = self.name()?;
            let mut arguments = Vec::new();
            if self.eat(b'(') {
                while !self.eat(b')') {
                    let name = self.name()?;
                    self.expect(b':')?;
                    arguments.push((name, self.argument()?));
                }
            }
            directives.push(Directive { name, arguments });
        }
        Ok(directives)
    }

    fn argument(&mut self) -> Step<Argument> {
        let Some(token) = self.peek() else { return self.unexpected("a value") };
        Ok(match token.kind {
            Kind::String | Kind::BlockString => {
                self.at += 1;
                Argument::String(lexer::string_value(token, self.text))
            }
            Kind::Name | Kind::Number => Argument::Word(self.value_text()?),
            _ => {
                self.value_text()?;
                Argument::Other
            }
        })
    }

    /// A constant value, as its text.
    fn value_text(&mut self) -> Step<String> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let Some(token) = self.peek() else { return self.unexpected("a value") };
            match token.kind {
                Kind::Punctuator(b'[' | b'{') if depth < MAX_DEPTH => depth += 1,
                Kind::Punctuator(b']' | b'}') if depth > 0 => depth -= 1,
                Kind::Punctuator(b':') if depth > 0 => {}
                Kind::Punctuator(_) | Kind::Spread | Kind::Comment => return self.unexpected("a value"),
                Kind::Name | Kind::Number | Kind::String | Kind::BlockString => {}
            }
            self.at += 1;
            if depth == 0 {
                let range = self.tokens[start].range.start..token.range.end;
                return Ok(self.text[range].to_owned());
            }
        }
    }
}

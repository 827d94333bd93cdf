//! Schema definition language, read leniently: what a schema means is judged later, and only where a query touches it.

use std::{ops::Range, sync::Arc};

use plan::{Diagnostic, SourceText, code::graph as codes};

use super::{DirectiveDef, FieldDef, InputDef, TypeDef, TypeKind, TypeRef};
use crate::lexer::{self, Kind, Lexer, Token};

/// Lists around a type, and values inside values, at most.
const MAX_DEPTH: usize = 64;

/// A schema as written: its definitions, each read as far as the index needs it.
#[derive(Default)]
pub(super) struct Document {
    pub(super) types: Vec<(Definition, Part)>,
    pub(super) directives: Vec<(String, DirectiveDef)>,
    /// The type behind `query:` of the schema definition.
    pub(super) query: Option<String>,
}

/// A definition or an extension of a type in the text.
#[derive(Debug)]
pub(super) struct Part {
    /// Where its keyword stands.
    start: usize,
    /// Its keyword and its name.
    pub(super) head: Range<usize>,
    pub(super) is_extension: bool,
    /// Whether anything is written between its braces, or behind `=`.
    pub(super) has_body: bool,
}

/// A type or an extension of one.
#[derive(Default)]
pub(super) struct Definition {
    pub(super) ty: TypeDef,
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

/// The enum whose values are the subgraphs: the one type that the index needs whole.
pub(super) const GRAPHS: &str = "join__Graph";

pub(super) fn parse(source: &Arc<SourceText>) -> Result<Document, Box<Diagnostic>> {
    read(&source.text).map_err(|failure| Box::new(refused(source, failure)))
}

/// A definition, read whole.
pub(super) fn definition(source: &Arc<SourceText>, part: &Part) -> Result<Definition, Diagnostic> {
    let mut parser =
        Parser { text: &source.text, lexer: Lexer::starting(&source.text, part.start), token: None, end: 0 };
    let read = parser.advance().and_then(|()| parser.type_definition(true));
    read.map(|(definition, _)| definition).map_err(|failure| refused(source, failure))
}

fn refused(source: &Arc<SourceText>, (message, range): (String, Range<usize>)) -> Diagnostic {
    let help = "this must be a supergraph SDL, a plain SDL, or the JSON answer of an introspection";
    Diagnostic::error(codes::SS201, message).at(source, range).help(help)
}

fn read(text: &str) -> Step<Document> {
    let mut parser = Parser { text, lexer: Lexer::new(text), token: None, end: 0 };
    parser.advance()?;
    let mut document = Document::default();
    while parser.token.is_some() {
        parser.definition(&mut document)?;
    }
    if document.types.is_empty() {
        return Err(("the schema defines no type".into(), 0..0));
    }
    Ok(document)
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    /// The token that is looked at.
    token: Option<Token>,
    /// Where the one before it ends.
    end: usize,
}

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Step<()> {
        self.end = self.token.as_ref().map_or(self.end, |token| token.range.end);
        loop {
            self.token =
                self.lexer.next().transpose().map_err(|error| (error.message.to_owned(), error.range))?;
            if self.token.as_ref().is_none_or(|token| token.kind != Kind::Comment) {
                return Ok(());
            }
        }
    }

    fn word(&self) -> &'t str {
        self.token.as_ref().map_or("", |token| &self.text[token.range.clone()])
    }

    fn kind(&self) -> Option<Kind> {
        self.token.as_ref().map(|token| token.kind)
    }

    fn is(&self, byte: u8) -> bool {
        self.kind() == Some(Kind::Punctuator(byte))
    }

    fn eat(&mut self, byte: u8) -> Step<bool> {
        let found = self.is(byte);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn eat_word(&mut self, word: &str) -> Step<bool> {
        let found = self.kind() == Some(Kind::Name) && self.word() == word;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn unexpected<T>(&self, wanted: &str) -> Step<T> {
        match &self.token {
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
        if self.eat(byte)? { Ok(()) } else { self.unexpected(&format!("`{}`", char::from(byte))) }
    }

    fn name(&mut self) -> Step<&'t str> {
        if self.kind() != Some(Kind::Name) {
            return self.unexpected("a name");
        }
        let name = self.word();
        self.advance()?;
        Ok(name)
    }

    fn is_string(&self) -> bool {
        matches!(self.kind(), Some(Kind::String | Kind::BlockString))
    }

    fn description(&mut self) -> Step<Option<String>> {
        let Some(token) = self.token.clone().filter(|_| self.is_string()) else { return Ok(None) };
        self.advance()?;
        Ok(Some(lexer::string_value(&token, self.text)).filter(|doc| !doc.trim().is_empty()))
    }

    /// Goes past a description that nobody asks for.
    fn skip_description(&mut self) -> Step<()> {
        if self.is_string() { self.advance() } else { Ok(()) }
    }

    fn definition(&mut self, document: &mut Document) -> Step<()> {
        self.skip_description()?;
        let is_extension = self.eat_word("extend")?;
        match self.word() {
            "schema" => return self.schema(document),
            "directive" if !is_extension => return self.directive_definition(document),
            _ => {}
        }
        let start = self.token.as_ref().map_or(self.text.len(), |token| token.range.start);
        let (definition, (head, has_body)) = self.type_definition(false)?;
        document.types.push((definition, Part { start, head, is_extension, has_body }));
        Ok(())
    }

    /// A definition from its keyword on; its head alone unless it is wanted whole. With it the bytes of keyword and
    /// name, and whether it has a body.
    fn type_definition(&mut self, whole: bool) -> Step<(Definition, (Range<usize>, bool))> {
        let start = self.token.as_ref().map_or(self.text.len(), |token| token.range.start);
        let kind = match self.word() {
            "scalar" => TypeKind::Scalar,
            "type" => TypeKind::Object,
            "interface" => TypeKind::Interface,
            "union" => TypeKind::Union,
            "enum" => TypeKind::Enum,
            "input" => TypeKind::Input,
            "query" | "mutation" | "subscription" | "fragment" | "{" => {
                let range = self.token.as_ref().map_or(0..0, |token| token.range.clone());
                return Err(("this is a query, not a schema".into(), range));
            }
            _ => return self.unexpected("a definition such as `type`, `interface` or `enum`"),
        };
        self.advance()?;
        let name = self.name()?.to_owned();
        let head = start..self.end;
        let whole = whole || name == GRAPHS;
        let mut definition =
            Definition { ty: TypeDef { name, kind, ..TypeDef::default() }, ..Definition::default() };
        if self.eat_word("implements")? {
            self.eat(b'&')?;
            definition.ty.interfaces.push(self.name()?.to_owned());
            while self.eat(b'&')? || self.kind() == Some(Kind::Name) && !self.starts_definition() {
                definition.ty.interfaces.push(self.name()?.to_owned());
            }
        }
        definition.directives = self.directives()?;
        let mut has_body = self.is(b'{') || self.is(b'=');
        if self.is(b'{') && !whole {
            let open = self.lexer.clone().next();
            has_body = !matches!(open, Some(Ok(Token { kind: Kind::Punctuator(b'}'), .. })));
            self.lexer.skip_braces().map_err(|error| (error.message.to_owned(), error.range))?;
            self.advance()?;
            return Ok((definition, (head, has_body)));
        }
        match kind {
            TypeKind::Object | TypeKind::Interface => self.fields(&mut definition)?,
            TypeKind::Union => self.members(&mut definition)?,
            TypeKind::Enum => self.values(&mut definition)?,
            TypeKind::Input => definition.ty.inputs = self.inputs(b'{', b'}')?,
            TypeKind::Scalar => {}
        }
        Ok((definition, (head, has_body)))
    }

    /// Old SDL lists interfaces without `&`; a following definition must not be taken for one.
    fn starts_definition(&self) -> bool {
        let words =
            ["schema", "directive", "scalar", "type", "interface", "union", "enum", "input", "extend"];
        words.contains(&self.word())
    }

    fn schema(&mut self, document: &mut Document) -> Step<()> {
        self.advance()?;
        self.directives()?;
        if !self.eat(b'{')? {
            return Ok(());
        }
        while !self.eat(b'}')? {
            let operation = self.name()?;
            self.expect(b':')?;
            let name = self.name()?;
            self.directives()?;
            if operation == "query" {
                document.query = Some(name.to_owned());
            }
        }
        Ok(())
    }

    fn directive_definition(&mut self, document: &mut Document) -> Step<()> {
        self.advance()?;
        self.expect(b'@')?;
        let name = self.name()?.to_owned();
        let arguments = self.inputs(b'(', b')')?;
        let repeatable = self.eat_word("repeatable")?;
        if !self.eat_word("on")? {
            return self.unexpected("`on`");
        }
        self.eat(b'|')?;
        let mut locations = vec![self.name()?.to_owned()];
        while self.eat(b'|')? {
            locations.push(self.name()?.to_owned());
        }
        document.directives.push((name, DirectiveDef { arguments, repeatable, locations }));
        Ok(())
    }

    fn fields(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'{')? {
            return Ok(());
        }
        while !self.eat(b'}')? {
            let doc = self.description()?;
            let name = self.name()?.to_owned();
            let arguments = self.inputs(b'(', b')')?;
            self.expect(b':')?;
            let ty = self.type_ref()?;
            definition.field_directives.push(self.directives()?);
            definition.ty.fields.push(FieldDef { name, doc, arguments, ty, ..FieldDef::default() });
        }
        Ok(())
    }

    fn members(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'=')? {
            return Ok(());
        }
        self.eat(b'|')?;
        definition.ty.members.push(self.name()?.to_owned());
        while self.eat(b'|')? {
            definition.ty.members.push(self.name()?.to_owned());
        }
        Ok(())
    }

    fn values(&mut self, definition: &mut Definition) -> Step<()> {
        if !self.eat(b'{')? {
            return Ok(());
        }
        while !self.eat(b'}')? {
            self.skip_description()?;
            definition.ty.values.push(self.name()?.to_owned());
            definition.value_directives.push(self.directives()?);
        }
        Ok(())
    }

    fn inputs(&mut self, open: u8, close: u8) -> Step<Vec<InputDef>> {
        let mut inputs = Vec::new();
        if !self.eat(open)? {
            return Ok(inputs);
        }
        while !self.eat(close)? {
            self.skip_description()?;
            let name = self.name()?;
            self.expect(b':')?;
            let ty = self.type_ref()?;
            let default = if self.eat(b'=')? { Some(self.value_text()?) } else { None };
            self.directives()?;
            inputs.push(InputDef { name: name.to_owned(), ty, default });
        }
        Ok(inputs)
    }

    fn type_ref(&mut self) -> Step<TypeRef> {
        let mut lists = 0;
        while self.eat(b'[')? {
            lists += 1;
            if lists > MAX_DEPTH {
                return self.unexpected("a type with fewer lists around it");
            }
        }
        let mut ty = TypeRef::Named(self.name()?.to_owned());
        loop {
            if self.eat(b'!')? {
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
        while self.eat(b'@')? {
            let name = self.name()?;
            let mut arguments = Vec::new();
            if self.eat(b'(')? {
                while !self.eat(b')')? {
                    let name = self.name()?;
                    self.expect(b':')?;
                    arguments.push((name.to_owned(), self.argument()?));
                }
            }
            directives.push(Directive { name: name.to_owned(), arguments });
        }
        Ok(directives)
    }

    fn argument(&mut self) -> Step<Argument> {
        let Some(token) = self.token.clone() else { return self.unexpected("a value") };
        Ok(match token.kind {
            Kind::String | Kind::BlockString => {
                self.advance()?;
                Argument::String(lexer::string_value(&token, self.text))
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
        let start = self.token.as_ref().map_or(self.text.len(), |token| token.range.start);
        let mut depth = 0_usize;
        loop {
            match self.kind() {
                Some(Kind::Punctuator(b'[' | b'{')) if depth < MAX_DEPTH => depth += 1,
                Some(Kind::Punctuator(b']' | b'}')) if depth > 0 => depth -= 1,
                Some(Kind::Punctuator(b':')) if depth > 0 => {}
                Some(Kind::Name | Kind::Number | Kind::String | Kind::BlockString) => {}
                _ => return self.unexpected("a value"),
            }
            self.advance()?;
            if depth == 0 {
                return Ok(self.text[start..self.end].to_owned());
            }
        }
    }
}

//! The syntax tree as GraphQL text: one line, one space, so that equal meanings have equal texts.

use std::fmt::Write;

use async_graphql_parser::types::{
    Directive, Field, FragmentDefinition, Selection, SelectionSet, VariableDefinition,
};
use async_graphql_value::{ConstValue, Value};

use crate::template::Template;

/// Stands behind `$id` where the number of an alias goes. A string can't hold it: it is printed as an escape.
pub(crate) const SLOT: char = '\0';

/// Writes parts of a template.
pub(crate) struct Printer<'a> {
    text: String,
    /// The variable that becomes `$id` and [`SLOT`].
    numbered: Option<&'a str>,
}

/// The whole file: the operation, then its fragments in the order of the text.
pub(crate) fn document(template: &Template) -> String {
    let mut printer = Printer::new(None);
    let _ = write!(printer.text, "query {}", template.name);
    printer.variables(template.operation.variable_definitions.iter().map(|definition| &definition.node));
    for directive in &template.operation.directives {
        printer.directive(&directive.node);
    }
    printer.selection_set(&template.operation.selection_set.node);
    printer.fragments(template);
    printer.text
}

/// An operation of these selections, with those of the variables that they use.
pub(crate) fn cut_down<'d>(
    name: &str,
    definitions: impl Iterator<Item = &'d VariableDefinition>,
    selections: &SelectionSet,
) -> String {
    let mut body = Printer::new(None);
    body.selection_set(selections);
    let is_used = |definition: &&VariableDefinition| {
        let variable = format!("${}", definition.name.node);
        let ends = body.text.match_indices(&variable).map(|(at, _)| at + variable.len());
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        ends.into_iter().any(|end| !body.text[end..].starts_with(is_name))
    };
    let mut head = Printer::new(None);
    let _ = write!(head.text, "query {name}");
    head.variables(definitions.filter(is_used));
    head.text + &body.text
}

impl<'a> Printer<'a> {
    pub(crate) fn new(numbered: Option<&'a str>) -> Self {
        Self { text: String::new(), numbered }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn variables<'d>(&mut self, definitions: impl Iterator<Item = &'d VariableDefinition>) {
        let mut separator = '(';
        for definition in definitions {
            self.text.push(separator);
            if separator == ',' {
                self.text.push(' ');
            }
            self.variable_definition(definition);
            separator = ',';
        }
        if separator == ',' {
            self.text.push(')');
        }
    }

    /// `$lang: String = "en"`.
    pub(crate) fn variable_definition(&mut self, definition: &VariableDefinition) {
        let _ = write!(self.text, "${}: {}", definition.name.node, definition.var_type.node);
        if let Some(default) = &definition.default_value {
            self.text.push_str(" = ");
            self.constant(&default.node);
        }
        for directive in &definition.directives {
            self.directive(&directive.node);
        }
    }

    /// Every fragment of the file, each after a space.
    pub(crate) fn fragments(&mut self, template: &Template) {
        for (name, fragment) in &template.fragments {
            self.fragment(name, fragment);
        }
    }

    fn fragment(&mut self, name: &str, fragment: &FragmentDefinition) {
        let _ = write!(self.text, " fragment {name} on {}", fragment.type_condition.node.on.node);
        for directive in &fragment.directives {
            self.directive(&directive.node);
        }
        self.selection_set(&fragment.selection_set.node);
    }

    /// ` { … }`, or nothing for a leaf.
    pub(crate) fn selection_set(&mut self, selections: &SelectionSet) {
        if selections.items.is_empty() {
            return;
        }
        self.text.push_str(" {");
        for selection in &selections.items {
            self.text.push(' ');
            match &selection.node {
                Selection::Field(field) => {
                    if let Some(alias) = &field.node.alias {
                        let _ = write!(self.text, "{}: ", alias.node);
                    }
                    self.field_head(&field.node);
                    self.selection_set(&field.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let _ = write!(self.text, "...{}", spread.node.fragment_name.node);
                    for directive in &spread.node.directives {
                        self.directive(&directive.node);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.text.push_str("...");
                    if let Some(condition) = &fragment.node.type_condition {
                        let _ = write!(self.text, " on {}", condition.node.on.node);
                    }
                    for directive in &fragment.node.directives {
                        self.directive(&directive.node);
                    }
                    self.selection_set(&fragment.node.selection_set.node);
                }
            }
        }
        self.text.push_str(" }");
    }

    /// A field's name, arguments and directives, without its alias.
    pub(crate) fn field_head(&mut self, field: &Field) {
        self.text.push_str(&field.name.node);
        let arguments = field.arguments.iter().map(|(name, value)| (name.node.as_str(), &value.node));
        self.arguments(arguments);
        for directive in &field.directives {
            self.directive(&directive.node);
        }
    }

    fn directive(&mut self, directive: &Directive) {
        let _ = write!(self.text, " @{}", directive.name.node);
        let arguments = directive.arguments.iter().map(|(name, value)| (name.node.as_str(), &value.node));
        self.arguments(arguments);
    }

    fn arguments<'v>(&mut self, arguments: impl Iterator<Item = (&'v str, &'v Value)>) {
        let mut separator = "(";
        for (name, value) in arguments {
            let _ = write!(self.text, "{separator}{name}: ");
            self.value(value);
            separator = ", ";
        }
        if separator == ", " {
            self.text.push(')');
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Variable(name) if self.numbered == Some(name.as_str()) => {
                self.text.push_str("$id");
                self.text.push(SLOT);
            }
            Value::Variable(name) => {
                let _ = write!(self.text, "${name}");
            }
            Value::List(items) => {
                self.text.push('[');
                for (n, item) in items.iter().enumerate() {
                    self.text.push_str(if n == 0 { "" } else { ", " });
                    self.value(item);
                }
                self.text.push(']');
            }
            Value::Object(fields) => {
                self.text.push('{');
                for (n, (name, field)) in fields.iter().enumerate() {
                    let _ = write!(self.text, "{}{name}: ", if n == 0 { "" } else { ", " });
                    self.value(field);
                }
                self.text.push('}');
            }
            Value::Number(number) => {
                let _ = write!(self.text, "{number}");
            }
            Value::String(text) => self.string(text),
            Value::Boolean(value) => {
                let _ = write!(self.text, "{value}");
            }
            Value::Enum(name) => self.text.push_str(name),
            // Bytes are how uploads travel; a parsed text has none.
            Value::Null | Value::Binary(_) => self.text.push_str("null"),
        }
    }

    fn constant(&mut self, value: &ConstValue) {
        self.value(&value.clone().into_value());
    }

    /// A quoted string. JSON's escapes are GraphQL's.
    fn string(&mut self, text: &str) {
        match serde_json::to_string(text) {
            Ok(quoted) => self.text.push_str(&quoted),
            Err(_) => self.text.push_str("\"\""),
        }
    }
}

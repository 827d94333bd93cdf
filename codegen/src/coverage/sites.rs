//! Where the document holds entities: each with the field that leads to it, the entities above it, and its key.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    schema::{Schema, TypeDef},
    shape::ShapeField,
};

/// An entity at one path of the document.
pub(crate) struct Site<'a> {
    pub(crate) entity: &'a TypeDef,
    /// The field that holds it; `None` for the root.
    pub(crate) field: Option<&'a ShapeField>,
    /// The nearest entities above it: several where an interface or a union holds the field; none for the root.
    pub(crate) holders: Vec<&'a TypeDef>,
    /// The key field by which documents that hold the entity here are found, where it is selected.
    pub(crate) key: Option<&'a ShapeField>,
    /// The name of the key that events of this entity bring, the same at every path; `None` where no key is simple.
    pub(crate) key_name: Option<&'a str>,
    pub(super) fields: &'a [ShapeField],
}

impl<'a> Site<'a> {
    pub(super) fn path(&self) -> &'a str {
        self.field.map_or("", |field| field.path.as_str())
    }

    /// The key field of this name, selected on this entity as it is: no arguments, any alias.
    fn child(&self, schema: &Schema, key: &str) -> Option<&'a ShapeField> {
        self.field?.children.iter().find(|child| {
            let is_key = |(parent, field): (&String, &String)| {
                field == key && schema.possible(parent).contains(self.entity.name.as_str())
            };
            child.is_leaf() && !child.has_arguments && child.selected_on.iter().any(is_key)
        })
    }
}

/// What sites are found by.
pub(crate) struct Search<'a> {
    pub(crate) schema: &'a Schema,
    /// The root entity and the field that is its key.
    pub(crate) root: (&'a TypeDef, Option<&'a str>),
    /// Types that the configuration names: they are sites without a `@key`, too.
    pub(crate) named: BTreeSet<&'a str>,
}

impl<'a> Search<'a> {
    /// Every entity of the document, the root first, then in the order of the query.
    pub(crate) fn sites(&self, document: &'a [ShapeField]) -> Vec<Site<'a>> {
        let (root, _) = self.root;
        let site = Site {
            entity: root,
            field: None,
            holders: Vec::new(),
            key: None,
            key_name: None,
            fields: document,
        };
        let mut sites = vec![site];
        document.iter().for_each(|field| self.descend(field, &[root], &mut sites));
        let names: BTreeMap<&str, Option<&'a str>> = sites
            .iter()
            .map(|site| (site.entity.name.as_str(), self.key_name(site.entity, &sites)))
            .collect();
        for site in &mut sites {
            site.key_name = names.get(site.entity.name.as_str()).copied().flatten();
            site.key = site.key_name.and_then(|key| site.child(self.schema, key));
        }
        sites
    }

    fn descend(&self, field: &'a ShapeField, holders: &[&'a TypeDef], sites: &mut Vec<Site<'a>>) {
        let mut found = Vec::new();
        for name in self.schema.possible(field.type_name()) {
            let Some(entity) = self.schema.get(name).filter(|ty| self.is_entity(ty)) else { continue };
            // The name of a union's member is asked for whether or not anything of the member is read.
            let is_alone = field.type_name() == entity.name && !field.children.is_empty();
            if is_alone
                || field.children.iter().any(|child| child.field != "__typename" && self.reads(child, entity))
            {
                found.push(entity);
            }
        }
        sites.extend(found.iter().map(|entity| Site {
            entity,
            field: Some(field),
            holders: holders.to_vec(),
            key: None,
            key_name: None,
            fields: &field.children,
        }));
        for child in &field.children {
            let own: Vec<&TypeDef> =
                found.iter().copied().filter(|entity| self.reads(child, entity)).collect();
            self.descend(child, if own.is_empty() { holders } else { &own }, sites);
        }
    }

    fn is_entity(&self, ty: &TypeDef) -> bool {
        self.schema.tells_keys && !ty.keys.is_empty() || self.named.contains(ty.name.as_str())
    }

    /// Whether a field is selected on this type.
    fn reads(&self, field: &ShapeField, entity: &TypeDef) -> bool {
        field.selected_on.keys().any(|parent| self.schema.possible(parent).contains(entity.name.as_str()))
    }

    /// The key by which an entity is looked up: the document's own for the root entity; else the simple key that most
    /// paths carry, for one event brings one key and must find the entity at all of them.
    fn key_name(&self, entity: &'a TypeDef, sites: &[Site<'a>]) -> Option<&'a str> {
        let (root, key) = self.root;
        if let (true, Some(key)) = (root.name == entity.name, key) {
            return Some(key);
        }
        let carried = |key: &str| {
            let here = sites.iter().filter(|site| site.entity.name == entity.name);
            here.filter(|site| site.child(self.schema, key).is_some()).count()
        };
        // The first of the schema wins where as many carry another.
        entity.simple_keys().rev().max_by_key(|key| carried(key))
    }
}

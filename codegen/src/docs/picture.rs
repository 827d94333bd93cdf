//! The picture of an index in Mermaid's language: subgraphs, the entities of the document, and the sources.

use std::fmt::Write;

use plan::{
    IndexPlan,
    index_plan::{CoverageLine, CoveredBy, EdgeWay},
};

/// A flowchart, a statement a line. Names of nodes are made here, so that no name of the graph can be a word of the
/// language; what people named stands in labels.
pub(super) fn flowchart(plan: &IndexPlan) -> String {
    let mut lines = vec!["flowchart LR".to_owned()];
    lines.push("  subgraph sources [Sources]".to_owned());
    lines.extend(
        plan.sources.iter().enumerate().map(|(n, source)| format!("    s{n}([\"{}\"])", label(&source.name))),
    );
    lines.extend(["  end".to_owned(), "  subgraph document [The document]".to_owned()]);
    lines.extend(plan.coverage.iter().enumerate().map(|(n, line)| {
        let place = if line.path.is_empty() { "the document" } else { line.path.as_str() };
        let exception = match line.covered_by {
            CoveredBy::Source => "",
            CoveredBy::Audit => "<br/>by audit",
            CoveredBy::Ignore => "<br/>not kept fresh",
        };
        format!("    e{n}[\"{}<br/>{}{exception}\"]", label(&line.type_name), label(place))
    }));
    lines.push("  end".to_owned());
    if !plan.subgraphs.is_empty() {
        lines.push("  subgraph graphs [Subgraphs]".to_owned());
        lines.extend(
            plan.subgraphs.keys().enumerate().map(|(n, name)| format!("    g{n}[(\"{}\")]", label(name))),
        );
        lines.push("  end".to_owned());
    }
    for (n, line) in plan.coverage.iter().enumerate() {
        for (above, _) in plan.coverage.iter().enumerate().filter(|(_, above)| is_held_by(plan, line, above))
        {
            let field = line.edge.as_ref().map_or("", |edge| edge.field.as_str());
            lines.push(format!("  e{above} -->|\"{}\"| e{n}", label(field)));
        }
        for (source, planned) in plan.sources.iter().enumerate() {
            if line.sources.contains(&planned.name) {
                lines.push(format!("  s{source} --> e{n}"));
            }
            let ways = line.edge.iter().flat_map(|edge| &edge.sources).filter(|way| way.name == planned.name);
            let tells = ways.filter(|way| way.by != EdgeWay::Holder).count() > 0;
            if tells {
                lines.push(format!("  s{source} -.->|\"new edges\"| e{n}"));
            }
        }
        for (graph, _) in plan.subgraphs.keys().enumerate().filter(|(_, name)| line.subgraphs.contains(name))
        {
            lines.push(format!("  e{n} --- g{graph}"));
        }
    }
    lines.into_iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

/// Whether the edge to an entity starts at another one: the nearest that holds it.
fn is_held_by(plan: &IndexPlan, line: &CoverageLine, above: &CoverageLine) -> bool {
    let Some(edge) = &line.edge else { return false };
    let holds = |above: &CoverageLine| {
        let rest = line.path.strip_prefix(above.path.as_str());
        rest.is_some_and(|rest| above.path.is_empty() || rest.starts_with('.'))
            && edge.holders.contains(&above.type_name)
    };
    let nearest = plan.coverage.iter().filter(|one| holds(one)).map(|one| one.path.len()).max();
    holds(above) && nearest == Some(above.path.len())
}

/// Words in a quoted label: whatever the language could take for its own is written as a number.
fn label(words: &str) -> String {
    let mut label = String::new();
    for character in words.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if character.is_alphanumeric() || matches!(character, ' ' | '.' | ',' | '-' | '_') {
            label.push(character);
        } else {
            let _ = write!(label, "#{};", u32::from(character));
        }
    }
    label
}

//! What filters mean, and what is said about wrong ones.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{CheckedFilter, Filter, parse};
use crate::{
    Diagnostic, Field, FieldKind, FieldTree, Mapping, SourceText,
    diagnostic::line_and_column,
    field::{KeywordForm, MappingKind},
};

/// 2024-03-31T00:00:00Z
const NOW: i64 = 1_711_843_200_000;

fn source(text: &str) -> Arc<SourceText> {
    Arc::new(SourceText { name: "<filter>".to_owned(), text: text.to_owned() })
}

fn field(path: &str, kind: MappingKind, children: Vec<Field>) -> Field {
    Field {
        name: path.rsplit('.').next().unwrap().to_owned(),
        path: path.to_owned(),
        kind: if children.is_empty() { FieldKind::Leaf } else { FieldKind::Object },
        type_name: "String".to_owned(),
        graphql_type: "String".to_owned(),
        list_depth: u8::from(kind == MappingKind::Nested),
        nullable: true,
        enum_values: Vec::new(),
        owners: Vec::new(),
        doc: None,
        mapping: Mapping::of(kind),
        children,
    }
}

fn movie() -> FieldTree {
    let leaf = |path, kind| field(path, kind, Vec::new());
    let mut title = leaf("title", MappingKind::Text);
    title.mapping.keyword = Some(KeywordForm::Lowercase);
    let mut kind = leaf("type", MappingKind::Keyword);
    kind.type_name = "MovieType".to_owned();
    kind.enum_values = vec!["FEATURE".to_owned(), "SHORT".to_owned(), "SERIES".to_owned()];
    let mut name = leaf("actors.name", MappingKind::Text);
    name.mapping.copy_to = Some("people".to_owned());
    let mut notes = leaf("notes", MappingKind::Keyword);
    notes.mapping.indexed = false;
    let mut people = leaf("people", MappingKind::Text);
    people.kind = FieldKind::Virtual;
    let mut genres = field("genres", MappingKind::Object, vec![leaf("genres.name", MappingKind::Keyword)]);
    genres.list_depth = 1;
    FieldTree(vec![
        title,
        kind,
        notes,
        genres,
        leaf("synopsis", MappingKind::Text),
        leaf("countries", MappingKind::Keyword),
        leaf("budget", MappingKind::Long),
        leaf("rating", MappingKind::Double),
        leaf("released", MappingKind::Boolean),
        leaf("releaseDate", MappingKind::Date),
        leaf("extra", MappingKind::Flattened),
        field(
            "production",
            MappingKind::Object,
            vec![
                leaf("production.status", MappingKind::Keyword),
                leaf("production.point", MappingKind::GeoPoint),
            ],
        ),
        field(
            "actors",
            MappingKind::Nested,
            vec![
                leaf("actors.role", MappingKind::Keyword),
                name,
                field(
                    "actors.awards",
                    MappingKind::Nested,
                    vec![leaf("actors.awards.year", MappingKind::Long)],
                ),
            ],
        ),
        people,
    ])
}

fn document() -> Value {
    json!({
        "title": "The Crash Landing", "type": "FEATURE", "synopsis": "A plane. An island!", "countries": ["FR", "ES", null],
        "budget": 5_000_000, "rating": 7.5, "released": true, "releaseDate": "2024-03-25T10:00:00+02:00",
        "extra": {"color": "red", "size": {"cm": [12, 13]}, "empty": null},
        "genres": [{"name": "drama"}, {"name": "comedy"}],
        "production": {"status": "WRAPPED", "point": {"lat": 40.4, "lon": -3.7}},
        "actors": [
            {"role": "DIRECTOR", "name": "Ada Lovelace", "awards": [{"year": 2001}, {"year": 2002}]},
            {"role": "STAR", "name": "Ryan Müller", "awards": []},
            null,
        ],
    })
}

fn filter(text: &str) -> Filter {
    parse(&source(text)).unwrap_or_else(|finding| panic!("{text}: {finding:?}"))
}

fn checked(text: &str) -> CheckedFilter {
    filter(text).check(&movie()).unwrap_or_else(|findings| panic!("{text}: {findings:?}"))
}

#[test]
fn what_holds_and_what_does_not() {
    let document = document();
    for (text, holds) in [
        ("type == 'FEATURE'", true),
        ("type != 'FEATURE'", false),
        ("(type == \"SHORT\" OR type in ['FEATURE']) and production.status != 'WRAPPED'", false),
        ("type == 'SHORT' OR type == 'FEATURE' AND budget > 1 -- AND binds closer", true),
        ("countries ANY ['FR', 'DE'] AND countries ALL ['FR', 'ES']", true),
        ("countries ALL ['FR', 'DE']", false),
        ("countries != 'DE' AND NOT countries IN []", true),
        ("countries ALL []", true),
        ("budget >= 5e6 AND budget <= 5000000 AND NOT budget < 5000000", true),
        ("rating > 7 AND rating < 8", true),
        ("released == true AND released != false", true),
        ("releaseDate == '2024-03-25T08:00:00Z'", true),
        ("releaseDate >= 'now-7d/d' AND releaseDate < 'now-1d'", true),
        ("releaseDate IN ['now', '2024-03-25T08:00:00Z']", true),
        ("title == 'The Crash Landing' AND title LIKE 'The *g' AND NOT title LIKE 'the*'", true),
        ("title MATCHES 'landing CRASH' AND NOT title MATCHES 'crash lander'", true),
        ("synopsis MATCHES 'island plane' AND synopsis EXISTS", true),
        ("extra.color == 'red' AND extra.size.cm == '13' AND extra EXISTS", true),
        ("extra.empty EXISTS OR extra.size EXISTS OR extra.color == '12'", false),
        ("genres.name == 'drama' AND genres.name == 'comedy'", true),
        ("production EXISTS AND production.point EXISTS", true),
        ("production.point WITHIN (40.4, -3.7, 0)", true),
        ("production.point WITHIN (41.4, 2.17, '500km')", false),
        ("actors EXISTS", true),
        ("actors[role == 'DIRECTOR' AND name MATCHES 'ada']", true),
        ("actors[role == 'DIRECTOR' AND name MATCHES 'muller']", false),
        ("actors.role == 'DIRECTOR' AND actors.name MATCHES 'muller'", true),
        ("actors.name MATCHES 'ada ryan'", false),
        ("people MATCHES 'ada ryan'", true),
        ("actors[NOT role == 'DIRECTOR']", true),
        ("NOT actors[role == 'DIRECTOR']", false),
        ("actors[awards[year == 2001] AND awards[year == 2002]]", true),
        ("actors[awards[year == 2001 AND year == 2002]]", false),
        ("actors[role == 'STAR' AND NOT awards EXISTS]", true),
        ("actors.awards[year > 2001]", true),
        ("actors[awards.year == 2002 AND role == 'STAR']", false),
        ("true AND NOT FALSE", true),
        ("`type` == 'FEATURE'", true),
    ] {
        assert_eq!(checked(text).matches(&document, NOW), holds, "{text}");
    }
}

#[test]
fn what_is_missing_is_false_before_it_is_negated() {
    for document in [
        json!({}),
        json!({"budget": null, "actors": [], "title": []}),
        json!({"budget": "much", "actors": "x"}),
    ] {
        for (text, holds) in [
            ("budget == 1", false),
            ("budget != 1", true),
            ("NOT budget > 1", true),
            ("budget == null", true),
            ("budget != null", false),
            ("title MATCHES 'x'", false),
            ("actors[NOT role EXISTS]", false),
            ("NOT actors[role == 'x']", true),
            ("actors.role == null", true),
        ] {
            assert_eq!(checked(text).matches(&document, NOW), holds, "{text} on {document}");
        }
    }
}

/// `code line:column-column message | help`
fn told(finding: &Diagnostic) -> String {
    let (source, range) = finding.place.as_ref().expect("a place");
    let (line, column) = line_and_column(&source.text, range.start);
    let (_, end) = line_and_column(&source.text, range.end);
    let help = finding.help.as_deref().map_or(String::new(), |help| format!(" | {help}"));
    format!("{} {line}:{column}-{end} {}{help}", finding.code, finding.message)
}

#[test]
fn a_syntax_error_has_a_place_and_a_mend() {
    for (text, wanted) in [
        (
            "",
            "SS701 1:1-1 expected a field, NOT or an opening parenthesis, the filter ends here | a condition is a path, an operator and a value: type == 'FEATURE'; AND, OR and NOT join conditions",
        ),
        ("type = 'X'", "SS701 1:6-7 = is no operator here | equality is written =="),
        ("type <> 'X'", "SS701 1:6-8 <> is no operator here | inequality is written !="),
        ("a == 1 && b == 2", "SS701 1:8-10 && is no operator here | write AND"),
        (
            "type == FEATURE",
            "SS701 1:9-16 expected a value, found FEATURE | texts, dates and enum values stand in quotes: 'FEATURE'",
        ),
        (
            "type == 'é",
            "SS701 1:9-10 the quote is not closed | close it with the same sign; inside, write it with a backslash before it",
        ),
        (
            "type IN ('a')",
            "SS701 1:9-10 expected a list, found ( | lists stand in square brackets: ['a', 'b']",
        ),
        ("type IN ['a' 'b']", "SS701 1:14-17 expected ,, found 'b' | put commas between the values"),
        (
            "type IN [null]",
            "SS701 1:10-14 null is no value of a list | ask for a missing value with path == null",
        ),
        ("type NOT IN ['a']", "SS701 1:6-9 expected an operator, found NOT | write NOT (type IN [...])"),
        (
            "released AND true",
            "SS701 1:10-13 expected an operator, found AND | write released == true for a boolean, released EXISTS for any value",
        ),
        (
            "(type == 'a'\n  OR",
            "SS701 2:5-5 expected a field, NOT or an opening parenthesis, the filter ends here | a condition is a path, an operator and a value: type == 'FEATURE'; AND, OR and NOT join conditions",
        ),
        (
            "type == 'a' type == 'b'",
            "SS701 1:13-17 expected AND, OR or the end, found type | a condition is a path, an operator and a value: type == 'FEATURE'; AND, OR and NOT join conditions",
        ),
        (
            "budget == 12abc",
            "SS701 1:11-16 12abc is not a number | numbers are written as in JSON: 12, -0.5, 1e6; texts and dates stand in quotes",
        ),
        (
            "title MATCHES '!'",
            "SS701 1:15-18 there is no word to match | a word has a letter or a digit; LIKE compares signs",
        ),
        (
            "p WITHIN (91, 0, 5)",
            "SS703 1:11-16 there is no such point | latitude comes first and lies between -90 and 90, longitude between -180 and 180",
        ),
        (
            "p WITHIN (1, 0, '5 parsec')",
            "SS703 1:17-27 this is no distance | a distance is a number of metres, or a text with m, km, mi, nmi, yd or ft: '50km'",
        ),
        (
            "a == 1 ; drop",
            "SS701 1:8-9 unexpected character ';' | texts stand in quotes; a name with other characters than letters, digits and _ in backticks",
        ),
    ] {
        assert_eq!(told(&parse(&source(text)).unwrap_err()), wanted, "{text}");
    }
}

#[test]
fn every_misfit_is_told_at_once() {
    for (text, wanted) in [
        ("titel == 'x'", "SS702 1:1-6 there is no field titel | did you mean title?"),
        ("status == 'x'", "SS702 1:1-7 there is no field status | did you mean production.status?"),
        ("actors.rôle == 'x'", "SS702 1:8-12 actors has no field rôle | did you mean role?"),
        ("title.raw == 'x'", "SS702 1:7-10 title has no fields inside | end the path before it"),
        (
            "actors[title == 'x']",
            "SS702 1:8-13 actors has no field title | names in [...] start at the element; title stands outside of it",
        ),
        (
            "budget == '12'",
            "SS703 1:11-15 budget is compared with a number, this is a text | write 12 without quotes",
        ),
        (
            "budget == 1.5",
            "SS703 1:11-14 budget is compared with a whole number of 64 bits, this is a number | write a whole number, without quotes: 12",
        ),
        (
            "countries == 1",
            "SS703 1:14-15 countries is compared with a text in quotes, this is a number | write '1'",
        ),
        (
            "releaseDate > 'soon'",
            "SS703 1:15-21 releaseDate is compared with a date such as '2024-01-31' or 'now-7d/d', this is a text | a date is a text in quotes: '2024-01-31', 'now-7d/d'",
        ),
        (
            "budget > null",
            "SS703 1:10-14 nothing stands in any order to null, and budget wants a number | ask for a missing value with path == null",
        ),
        ("type == 'FEATUR'", "SS704 1:9-17 'FEATUR' is no value of MovieType | did you mean 'FEATURE'?"),
        (
            "type IN ['SHORT', 'X']",
            "SS704 1:19-22 'X' is no value of MovieType | its values are FEATURE, SHORT, SERIES",
        ),
        (
            "title > 'a'",
            "SS705 1:7-8 title is text, which has no order | numbers, dates and keywords have an order",
        ),
        (
            "released < true",
            "SS705 1:10-11 released is a boolean, which has no order | numbers, dates and keywords have an order",
        ),
        (
            "synopsis == 'x'",
            "SS705 1:10-12 synopsis is text without its whole value | ask for its words with synopsis MATCHES '...', or add `keyword: raw` to it under `fields:`",
        ),
        (
            "countries MATCHES 'x'",
            "SS705 1:11-18 MATCHES asks for the words of a text field, and countries is a keyword | compare the whole value (countries == '...', countries LIKE '*...*'), or say countries: text under `fields:`",
        ),
        (
            "budget LIKE '1*'",
            "SS705 1:8-12 LIKE asks for keywords, and budget is a number | compare it with == or IN",
        ),
        (
            "extra == 'x'",
            "SS705 1:7-9 extra is an object of unknown keys | name one of them: extra.color == 'red'",
        ),
        (
            "production == 'x'",
            "SS705 1:12-14 production is an object, not a value | compare a field of it: production.…",
        ),
        (
            "production.point.lat > 1",
            "SS705 1:18-21 production.point is a point, which is asked as a whole | write production.point WITHIN (lat, lon, '50km')",
        ),
        (
            "production[status == 'x']",
            "SS706 1:1-11 production is no nested list, its elements can't be bound | it is one object: write production.…",
        ),
        (
            "genres[name == 'x']",
            "SS706 1:1-7 genres is no nested list, its elements can't be bound | under `fields:`, genres says object; as nested it keeps its elements apart",
        ),
        (
            "countries['FR' == 'x']",
            "SS701 1:11-15 expected a field, NOT or an opening parenthesis, found 'FR' | a condition is a path, an operator and a value: type == 'FEATURE'; AND, OR and NOT join conditions",
        ),
        ("notes EXISTS", "SS707 1:1-6 notes is not indexed | its `index: false` stands under `fields:`"),
    ] {
        let told_here = match parse(&source(text)) {
            Ok(filter) => told(&filter.check(&movie()).unwrap_err()[0]),
            Err(finding) => told(&finding),
        };
        assert_eq!(told_here, wanted, "{text}");
    }
    let findings = filter("titel == 'x' OR actors[rol == 'x' AND role == 1]").check(&movie()).unwrap_err();
    assert_eq!(findings.len(), 3);
}

#[test]
fn limits_are_errors() {
    let nested = |depth| format!("{}type EXISTS{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&source(&nested(64))).is_ok());
    let list = |values: usize| format!("budget IN [{}1]", "1,".repeat(values - 1));
    assert!(parse(&source(&list(10_000))).is_ok());
    let long_pattern = format!("title LIKE '{}'", "*a".repeat(501));
    let not = format!("{}type EXISTS", "NOT ".repeat(65));
    let large = format!("title == '{}'", "x".repeat(64 * 1024));
    let chain = |clauses| vec!["type EXISTS"; clauses].join(" AND ");
    let all = format!("genres ALL [{}'x']", "'x',".repeat(1_000));
    for text in [nested(65), nested(30_000), list(10_001), long_pattern, not, large, chain(1_001), all] {
        assert_eq!(parse(&source(&text)).unwrap_err().code.id, "SS708", "{text:.40}");
    }
    assert!(checked(&chain(1_000)).matches(&document(), NOW));
}

#[test]
fn records_are_matched_without_types() {
    let record = json!({"row": {"kind": "TEST", "n": 5, "tags": ["a", ["b"]], "lines": [{"a": 1, "b": 2}], "none": null}});
    for (text, holds) in [
        ("row.kind != 'TEST'", false),
        ("row.n > 4.5 AND row.n == 5.0 AND row.n != '5'", true),
        ("row.tags ALL ['a', 'b'] AND row.kind LIKE 'T*'", true),
        ("row.none EXISTS OR row.other != null", false),
        ("row.lines[a == 1 AND b == 2] AND NOT row.lines[a == 2]", true),
        ("row.kind > 'S' AND NOT row.kind > 3", true),
    ] {
        let filter = filter(text);
        filter.check_record().unwrap();
        assert_eq!(filter.matches_record(&|names| super::values_at(&record, names)), holds, "{text}");
    }
    assert_eq!(filter("row.a == 1 AND NOT row.b[c == 2]").paths(), [["row", "a"], ["row", "b"]]);
    let finding = &filter("row.a == 1 AND kind != 'x'").check_record().unwrap_err()[0];
    assert_eq!(
        told(finding),
        "SS709 1:16-20 a record path starts with key, value, headers or row, not \"kind\" | `row.kind` is a column of the row, `value.kind` a field of the record's value"
    );
}

#[test]
fn many_filters_match_as_each_does() {
    let texts = [
        "type == 'FEATURE'",
        "type IN ['SHORT', 'SERIES'] OR title MATCHES 'crash landing'",
        "actors[role == 'DIRECTOR' AND name MATCHES 'ada']",
        "NOT (budget EXISTS)",
        "budget > 5 AND countries ANY ['FR', 'ES']",
        "people MATCHES 'noone'",
        "releaseDate == 'now'",
        "true",
        "false OR budget == 7",
    ];
    let filters: Vec<CheckedFilter> = texts.iter().map(|text| checked(text)).collect();
    let set = super::FilterSet::new(filters.clone());
    let others = [json!({}), json!({"type": "SERIES", "budget": 7, "title": ["Landing", "a crash"]})];
    for document in std::iter::once(document()).chain(others) {
        let alone: Vec<usize> =
            (0..filters.len()).filter(|number| filters[*number].matches(&document, NOW)).collect();
        assert_eq!(set.matching(&document, NOW), alone, "{document}");
    }
}

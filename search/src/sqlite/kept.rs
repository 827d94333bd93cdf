//! What each entry keeps of its document's values, so that facets are counted and filters tried without a walk down an index.
//!
//! Kept are the values of declared facets, and short ones of other fields that no nested list holds, field by field:
//!
//! ```text
//! path       8 bytes, little endian
//! length     4 bytes, of the values that follow
//! values     each once: `i` and 8 bytes | `d` and the 8 bytes of a double's bits | `t`, 4 bytes of length and the text
//! ```
//! A field that it doesn't name was not kept when the document was written, or not in full: then its values are looked up.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashSet},
};

use plan::filter::Order;
use rusqlite::{Connection, functions::Context, functions::FunctionFlags, types::ValueRef};

use super::{
    layout::{KeptField, PathId},
    rows::{RowValue, ValueRow},
};

/// `(kept, path, order, value…)`: whether some kept value stands in this order to one of the values; null where the field isn't named.
pub(super) const KEPT: &str = "studio_kept";

/// What is asked of a kept value for [`KEPT`].
pub(super) const EQUAL: &str = "=";
pub(super) const ANY: &str = "any";

/// Values of a field that is no facet are kept up to so many bytes: what is kept is read for every document that is looked at.
const MOST_BYTES: usize = 128;

const ORDERS: [Order; 4] = [Order::Less, Order::LessOrEqual, Order::Greater, Order::GreaterOrEqual];

/// Packs the values of these fields.
pub(super) fn pack(fields: &[KeptField], values: &HashSet<ValueRow>) -> Vec<u8> {
    let mut kept = Vec::new();
    for field in fields {
        let of_path: BTreeSet<&RowValue> =
            values.iter().filter(|row| row.path == field.path.0).map(|row| &row.value).collect();
        let mut written = Vec::new();
        of_path.into_iter().for_each(|value| write(value, &mut written));
        if !field.is_facet && written.len() > MOST_BYTES {
            continue;
        }
        kept.extend(field.path.0.to_le_bytes());
        kept.extend(u32::try_from(written.len()).unwrap_or(u32::MAX).to_le_bytes());
        kept.extend(written);
    }
    kept
}

fn write(value: &RowValue, to: &mut Vec<u8>) {
    match value {
        RowValue::Integer(integer) => {
            to.push(b'i');
            to.extend(integer.to_le_bytes());
        }
        RowValue::Double(bits) => {
            to.push(b'd');
            to.extend(bits.to_le_bytes());
        }
        RowValue::Text(text) => {
            to.push(b't');
            to.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            to.extend(text.as_bytes());
        }
    }
}

/// The packed values of one field; `None` where the entry doesn't name it.
pub(super) fn values_of(mut kept: &[u8], path: PathId) -> Option<&[u8]> {
    loop {
        let (named, rest) = kept.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (values, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        if i64::from_le_bytes(*named) == path.0 {
            return Some(values);
        }
        kept = rest;
    }
}

/// The first of packed values, still packed, and what follows it.
pub(super) fn next_value(values: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match values.first()? {
        b't' => 5 + u32::from_le_bytes(*values.get(1..)?.first_chunk()?) as usize,
        _ => 9,
    };
    values.split_at_checked(length)
}

/// Reads a packed value.
pub(super) fn read(value: &[u8]) -> Option<ValueRef<'_>> {
    let (kind, bytes) = value.split_first()?;
    Some(match kind {
        b'i' => ValueRef::Integer(i64::from_le_bytes(*bytes.first_chunk()?)),
        b'd' => ValueRef::Real(f64::from_bits(u64::from_le_bytes(*bytes.first_chunk()?))),
        _ => ValueRef::Text(bytes.get(4..)?),
    })
}

/// Makes [`KEPT`] known to this connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(KEPT, -1, flags, some_kept_passes)
}

fn some_kept_passes(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let Some(mut values) = values_of(context.get_raw(0).as_blob()?, PathId(context.get(1)?)) else {
        return Ok(None);
    };
    let wanted = context.get_raw(2).as_str()?;
    if wanted == ANY {
        return Ok(Some(!values.is_empty()));
    }
    let order = ORDERS.into_iter().find(|order| order.symbol() == wanted);
    let holds = |ordering: Ordering| order.map_or(ordering.is_eq(), |order| order.holds(ordering));
    while let Some((value, rest)) = next_value(values) {
        let passes =
            |at| read(value).and_then(|value| compare(value, context.get_raw(at))).is_some_and(holds);
        if (3..context.len()).any(passes) {
            return Ok(Some(true));
        }
        values = rest;
    }
    Ok(Some(false))
}

/// The order of two values of one field, which has values of one type.
fn compare(one: ValueRef<'_>, two: ValueRef<'_>) -> Option<Ordering> {
    match (one, two) {
        (ValueRef::Integer(one), ValueRef::Integer(two)) => Some(one.cmp(&two)),
        (ValueRef::Real(one), ValueRef::Real(two)) => one.partial_cmp(&two),
        (ValueRef::Text(one), ValueRef::Text(two)) => Some(one.cmp(two)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, is_facet: bool) -> KeptField {
        KeptField { path: PathId::of(path), is_facet }
    }

    fn packed(fields: &[KeptField], values: &[(&str, RowValue)]) -> Vec<u8> {
        let row = |(path, value): &(&str, RowValue)| ValueRow {
            path: PathId::of(path).0,
            value: value.clone(),
            element: 0,
        };
        pack(fields, &values.iter().map(row).collect())
    }

    #[test]
    fn kept_values_pass_as_looked_up_ones_do() {
        let conn = Connection::open_in_memory().unwrap();
        register(&conn).unwrap();
        let fields = [field("year", false), field("genre", true), field("score", false)];
        let text = |text: &str| RowValue::Text(text.to_owned());
        let half = RowValue::Double(0.5_f64.to_bits());
        let values =
            [("year", RowValue::Integer(-7)), ("genre", text("a")), ("genre", text("é")), ("score", half)];
        let kept = packed(&fields, &values);
        let asked = |path: &str, order: &str, values: &str| {
            let sql = format!("SELECT {KEPT}(?, ?, ?{values})");
            let row = (&kept, PathId::of(path).0, order);
            conn.query_row(&sql, row, |row| row.get::<_, Option<bool>>(0)).unwrap()
        };
        assert_eq!(asked("year", "<", ", -6"), Some(true));
        assert_eq!(asked("year", "<", ", -7"), Some(false));
        assert_eq!(asked("genre", EQUAL, ", 'b', 'é'"), Some(true));
        assert_eq!(asked("genre", ">=", ", 'z'"), Some(true), "by code point");
        assert_eq!(asked("genre", EQUAL, ", 'b'"), Some(false));
        assert_eq!(asked("score", ">=", ", 0.5"), Some(true));
        assert_eq!((asked("score", ANY, ""), asked("other", ANY, "")), (Some(true), None));
    }

    #[test]
    fn long_values_are_looked_up_unless_they_are_of_a_facet() {
        let long = RowValue::Text("x".repeat(200));
        let kept =
            packed(&[field("genre", true), field("note", false)], &[("genre", long.clone()), ("note", long)]);
        assert!(values_of(&kept, PathId::of("genre")).is_some());
        assert!(values_of(&kept, PathId::of("note")).is_none());
        assert!(
            values_of(&packed(&[field("note", false)], &[]), PathId::of("note"))
                .is_some_and(<[u8]>::is_empty)
        );
    }
}

//! What SQL can't say by itself: the functions of the filter language and of the rank, the same code as the evaluator's.

use plan::{
    filter::{Circle, Pattern, point::Point},
    index_plan::{Boost, BoostModifier, Recency},
};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
};

use super::kept;

/// `(text, pattern)`: whether the text fits a `LIKE` pattern.
pub(super) const FITS_PATTERN: &str = "studio_fits_pattern";
/// `(lat, lon, center lat, center lon, metres)`: whether a point lies in a circle.
pub(super) const IN_CIRCLE: &str = "studio_in_circle";
/// `(value, modifier, factor)`: what a number multiplies the rank with.
pub(super) const BOOST: &str = "studio_boost";
/// `(date, now, half-life, factor)`: what a date multiplies the rank with; all but the factor in milliseconds.
pub(super) const RECENCY: &str = "studio_recency";

/// Makes the functions known to this connection, once.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    // Registering again would make SQLite compile every cached statement anew; one that calls the last of them tells.
    if conn.prepare_cached(&format!("SELECT {RECENCY}(1, 1, 1, 1)")).is_ok() {
        return Ok(());
    }
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    kept::register(conn)?;
    conn.create_scalar_function(FITS_PATTERN, 2, flags, fits_pattern)?;
    conn.create_scalar_function(IN_CIRCLE, 5, flags, in_circle)?;
    conn.create_scalar_function(BOOST, 3, flags, boost)?;
    conn.create_scalar_function(RECENCY, 4, flags, recency)
}

fn fits_pattern(context: &Context<'_>) -> rusqlite::Result<bool> {
    let pattern = context.get_or_create_aux(1, |pattern| pattern.as_str().map(Pattern::new))?;
    Ok(context.get_raw(0).as_str().is_ok_and(|text| pattern.matches(text)))
}

fn in_circle(context: &Context<'_>) -> rusqlite::Result<bool> {
    let point = |lat, lon| Ok::<_, rusqlite::Error>(Point { lat: context.get(lat)?, lon: context.get(lon)? });
    let circle = Circle { center: point(2, 3)?, metres: context.get(4)? };
    Ok(circle.contains(point(0, 1)?))
}

fn boost(context: &Context<'_>) -> rusqlite::Result<f64> {
    let modifier = match context.get_raw(1).as_str() {
        Ok("log1p") => BoostModifier::Log1p,
        Ok("sqrt") => BoostModifier::Sqrt,
        _ => BoostModifier::None,
    };
    let boost = Boost { field: String::new(), modifier, factor: context.get(2)? };
    Ok(boost.multiplier(context.get(0)?))
}

fn recency(context: &Context<'_>) -> rusqlite::Result<f64> {
    let recency = Recency { field: String::new(), half_life_ms: context.get(2)?, factor: context.get(3)? };
    Ok(recency.multiplier(context.get(0)?, context.get(1)?))
}

/// The modifier as [`BOOST`] reads it.
pub(super) fn modifier_name(modifier: BoostModifier) -> &'static str {
    match modifier {
        BoostModifier::None => "none",
        BoostModifier::Log1p => "log1p",
        BoostModifier::Sqrt => "sqrt",
    }
}

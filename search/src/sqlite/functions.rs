//! What SQL can't say by itself: the functions of the filter language and of the rank, the same code as the evaluator's.

use plan::{
    filter::{Circle, Pattern, point::Point},
    index_plan::BoostModifier,
};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
};

/// `(text, pattern)`: whether the text fits a `LIKE` pattern.
pub(super) const FITS_PATTERN: &str = "studio_fits_pattern";
/// `(lat, lon, center lat, center lon, metres)`: whether a point lies in a circle.
pub(super) const IN_CIRCLE: &str = "studio_in_circle";
/// `(value, modifier, factor)`: what a number multiplies the rank with.
pub(super) const BOOST: &str = "studio_boost";

/// Makes the functions known to this connection, once.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    // Registering again would make SQLite compile every cached statement anew; one that calls the last of them tells.
    if conn.prepare_cached(&format!("SELECT {BOOST}(1, 'none', 1)")).is_ok() {
        return Ok(());
    }
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(FITS_PATTERN, 2, flags, fits_pattern)?;
    conn.create_scalar_function(IN_CIRCLE, 5, flags, in_circle)?;
    conn.create_scalar_function(BOOST, 3, flags, boost)
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
    // A document without the number is neither raised nor lowered; a negative number counts as zero.
    let value = context.get::<Option<f64>>(0)?.unwrap_or(0.0).max(0.0);
    let modified = match context.get_raw(1).as_str() {
        Ok("log1p") => value.ln_1p() / std::f64::consts::LN_10,
        Ok("sqrt") => value.sqrt(),
        _ => value,
    };
    Ok(1.0 + context.get::<f64>(2)? * modified)
}

/// The modifier as [`BOOST`] reads it.
pub(super) fn modifier_name(modifier: BoostModifier) -> &'static str {
    match modifier {
        BoostModifier::None => "none",
        BoostModifier::Log1p => "log1p",
        BoostModifier::Sqrt => "sqrt",
    }
}

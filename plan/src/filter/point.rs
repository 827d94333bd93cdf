//! Points on the globe, and how far they are apart.

use serde_json::Value;

/// The mean radius of the earth in metres, the one that Elasticsearch uses for its arc distance.
const EARTH_RADIUS: f64 = 6_371_008.771_4;

/// A place on the globe, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// North of the equator, -90 to 90.
    pub lat: f64,
    /// East of Greenwich, -180 to 180.
    pub lon: f64,
}

impl Point {
    /// A point with coordinates in range.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        let in_range = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        // Adding zero turns minus zero into zero.
        in_range.then_some(Self { lat: lat + 0.0, lon: lon + 0.0 })
    }

    /// Reads an object with `lat` and `lon`.
    pub fn read(value: &Value) -> Option<Self> {
        Self::new(value.get("lat")?.as_f64()?, value.get("lon")?.as_f64()?)
    }

    /// The distance over the ground in metres, by the haversine formula.
    pub fn distance(self, other: Point) -> f64 {
        let half_chord = |one: f64, two: f64| ((two - one).to_radians() / 2.0).sin().powi(2);
        let a = half_chord(self.lat, other.lat)
            + self.lat.to_radians().cos() * other.lat.to_radians().cos() * half_chord(self.lon, other.lon);
        2.0 * EARTH_RADIUS * a.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn madrid_is_505_km_from_barcelona() {
        let madrid = Point::new(40.4168, -3.7038).unwrap();
        let barcelona = Point::new(41.3874, 2.1686).unwrap();
        assert!((madrid.distance(barcelona) / 1000.0 - 505.0).abs() < 2.0);
        assert_eq!(Point::new(91.0, 0.0), None);
    }
}

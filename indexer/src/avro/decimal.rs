//! Avro's decimals as text: exact at any length, which a JSON number is not, and an id where they are one.

/// The longest decimal that becomes text, in bytes: some 9,800 digits. The work grows with the square of it.
const MAX_BYTES: usize = 4096;

/// The largest scale either way; a hostile one would be a text of gigabytes.
const MAX_SCALE: u32 = 16_384;

/// The digits of the base in which the number is divided: nine fit into 32 bits.
const DIGITS: u32 = 1_000_000_000;

/// The text of an unscaled two's-complement integer, highest byte first, with as many digits behind the point as `scale`
/// says; a negative scale adds zeros. `None` where it is longer than anyone's number.
pub(super) fn text(unscaled: &[u8], scale: i32) -> Option<String> {
    if unscaled.len() > MAX_BYTES || scale.unsigned_abs() > MAX_SCALE {
        return None;
    }
    let is_negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut digits = magnitude(unscaled, is_negative);
    if scale > 0 {
        let scale = usize::try_from(scale).ok()?;
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        digits.insert(digits.len() - scale, '.');
    } else if digits != "0" {
        digits.push_str(&"0".repeat(usize::try_from(-scale).ok()?));
    }
    if is_negative {
        digits.insert(0, '-');
    }
    Some(digits)
}

/// The decimal digits of the number without its sign.
fn magnitude(unscaled: &[u8], is_negative: bool) -> String {
    // Limbs of 32 bits, the highest first; two's complement is undone: all bits turned, and one added.
    let fill = if is_negative { 0xff } else { 0 };
    let padding = unscaled.len().next_multiple_of(4) - unscaled.len();
    let bytes: Vec<u8> = std::iter::repeat_n(fill, padding).chain(unscaled.iter().copied()).collect();
    let (words, _) = bytes.as_chunks::<4>();
    let mut limbs: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
    if is_negative {
        let mut carry = true;
        for limb in limbs.iter_mut().rev() {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
        // Only the lowest number of its length carries beyond it, and then every limb is right already.
    }
    let mut groups = Vec::new();
    let mut start = limbs.iter().position(|limb| *limb != 0).unwrap_or(limbs.len());
    while start < limbs.len() {
        let mut rest: u64 = 0;
        for limb in &mut limbs[start..] {
            let value = rest << 32 | u64::from(*limb);
            *limb = u32::try_from(value / u64::from(DIGITS)).expect("the rest is below the divisor");
            rest = value % u64::from(DIGITS);
        }
        groups.push(rest);
        start += limbs[start..].iter().position(|limb| *limb != 0).unwrap_or(limbs.len() - start);
    }
    let Some(highest) = groups.pop() else { return "0".to_owned() };
    groups.iter().rev().fold(highest.to_string(), |digits, group| digits + &format!("{group:09}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_stand_around_the_point() {
        let of = |number: i64, scale| text(&number.to_be_bytes(), scale).unwrap();
        assert_eq!(of(12340, 2), "123.40");
        assert_eq!(of(-5, 3), "-0.005");
        assert_eq!(of(0, 2), "0.00");
        assert_eq!(of(42, 0), "42");
        assert_eq!(of(-7, -2), "-700");
        assert_eq!(of(0, -2), "0");
        assert_eq!(text(&[], 0).unwrap(), "0");
        assert_eq!(text(&[0xff; 4096], 0).unwrap(), "-1");
        assert_eq!(text(&[0x7f; 4096], 1).unwrap().len(), 9865);
    }

    #[test]
    fn what_would_cost_too_much_is_no_text() {
        assert_eq!(text(&[1; MAX_BYTES + 1], 0), None);
        assert_eq!(text(&[1], i32::MAX), None);
        assert_eq!(text(&[1], i32::MIN + 1), None);
    }

    proptest! {
        #[test]
        fn it_is_the_number(number: i128, longer in 0_usize..9) {
            let fill = if number < 0 { 0xff } else { 0 };
            let bytes: Vec<u8> = std::iter::repeat_n(fill, longer).chain(number.to_be_bytes()).collect();
            prop_assert_eq!(text(&bytes, 0), Some(number.to_string()));
        }
    }
}

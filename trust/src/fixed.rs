//! Numbers from 0 to 65535 in steps of 2^-48. Sums and products of them are the same in every order and on every machine.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

const BITS: u32 = 48;

/// A number that is never negative, in steps of 2^-48. Products are rounded down, sums stop at the largest number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed(u64);

impl Fixed {
    /// Nothing.
    pub const ZERO: Fixed = Fixed(0);
    /// One.
    pub const ONE: Fixed = Fixed(1 << BITS);

    /// `numerator / denominator`, rounded down; 0 for a denominator of 0.
    #[must_use]
    pub fn ratio(numerator: u64, denominator: u64) -> Fixed {
        if denominator == 0 {
            return Fixed::ZERO;
        }
        Fixed::of_wide((u128::from(numerator) << BITS) / u128::from(denominator))
    }

    /// The nearest that is not larger; 0 for what is negative or no number.
    #[must_use]
    pub fn of(value: f64) -> Fixed {
        // `as` stops at the ends of the range, and makes 0 of what is no number.
        Fixed((value * (1_u64 << BITS) as f64) as u64)
    }

    /// As a float, for people.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / (1_u64 << BITS) as f64
    }

    /// From steps of 2^-48.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Fixed {
        Fixed(bits)
    }

    /// In steps of 2^-48.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Their product, rounded down.
    #[must_use]
    pub fn times(self, other: Fixed) -> Fixed {
        Fixed::of_wide((u128::from(self.0) * u128::from(other.0)) >> BITS)
    }

    /// `self / other`, rounded down; 0 if `other` is 0.
    #[must_use]
    pub fn over(self, other: Fixed) -> Fixed {
        Fixed::ratio(self.0, other.0)
    }

    /// What is left when the other is taken away, or nothing.
    #[must_use]
    pub const fn minus(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_sub(other.0))
    }

    fn of_wide(wide: u128) -> Fixed {
        Fixed(u64::try_from(wide).unwrap_or(u64::MAX))
    }
}

impl Add for Fixed {
    type Output = Fixed;

    fn add(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Fixed {
    fn add_assign(&mut self, other: Fixed) {
        *self = *self + other;
    }
}

impl Sum for Fixed {
    fn sum<I: Iterator<Item = Fixed>>(all: I) -> Fixed {
        all.fold(Fixed::ZERO, Add::add)
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", self.to_f64())
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_f64(), f)
    }
}

/// 2^(-age / half_life); 1 for an age of 0. The same on every machine: it is computed without the system's mathematics.
#[must_use]
pub fn decay(age_ms: u64, half_life_ms: u64) -> Fixed {
    if half_life_ms == 0 {
        return Fixed::ZERO;
    }
    Fixed::of(libm::exp2(-(age_ms as f64) / half_life_ms as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products() {
        let half = Fixed::ratio(1, 2);
        for (is, expected) in [
            (half + half, Fixed::ONE),
            (half.times(half), Fixed::ratio(1, 4)),
            (Fixed::ratio(1, 0), Fixed::ZERO),
            (half.over(Fixed::ZERO), Fixed::ZERO),
            (half.over(Fixed::ratio(1, 4)), Fixed::ratio(2, 1)),
            (half.minus(Fixed::ONE), Fixed::ZERO),
            (Fixed::of(0.25), Fixed::ratio(1, 4)),
            (Fixed::of(-1.0), Fixed::ZERO),
            (Fixed::of(f64::NAN), Fixed::ZERO),
            (Fixed::of(1e30), Fixed::from_bits(u64::MAX)),
            (
                Fixed::from_bits(u64::MAX) + Fixed::ONE,
                Fixed::from_bits(u64::MAX),
            ),
            ([half, half, half].into_iter().sum(), Fixed::ratio(3, 2)),
        ] {
            assert_eq!(is, expected);
        }
    }

    #[test]
    fn what_ages_falls_by_half() {
        assert_eq!(decay(0, 6), Fixed::ONE);
        assert_eq!(decay(6, 6), Fixed::ratio(1, 2));
        assert_eq!(decay(12, 6), Fixed::ratio(1, 4));
        assert_eq!(decay(1, 0), Fixed::ZERO);
        assert_eq!(decay(u64::MAX, 1), Fixed::ZERO);
        let ages: Vec<_> = (0..10_000).map(|age| decay(age, 3_333)).collect();
        assert!(ages.windows(2).all(|pair| pair[0] > pair[1]));
    }
}

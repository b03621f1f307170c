//! Whom to believe: the production trust code, and what others might do in its place, on the same seed.

use std::fmt;

use lymph_trust::Parameters;
use lymph_trust::fixed::Fixed;

/// Reporters that a count takes.
pub(crate) const COUNT: u64 = 3;
/// Of how many keys one has to report, for an average to block.
pub(crate) const AVERAGE: u64 = 50;

/// A way to decide.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Policy {
    /// `lymph_trust::Trust`, with these parameters.
    Ours(Parameters),
    /// Three keys anywhere.
    Naive,
    /// At least one in fifty of all keys.
    Average,
    /// Three nodes, as a centre would count them that knows all nodes and is never fooled.
    Central,
}

/// A policy under the name that a plan gives it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

impl Named {
    /// `naive`, `average`, `central`, or `ours` with parameters: `ours w0=3 block_at=2`.
    pub(crate) fn read(name: &str) -> Result<Named, String> {
        let mut words = name.split_whitespace();
        let mut policy = match words.next() {
            Some("ours") => Policy::Ours(Parameters::default()),
            Some("naive") => Policy::Naive,
            Some("average") => Policy::Average,
            Some("central") => Policy::Central,
            Some(_) | None => {
                return Err(format!(
                    "there is no policy {name:?}: ours, naive, average, central"
                ));
            }
        };
        for word in words {
            let Policy::Ours(parameters) = &mut policy else {
                return Err(format!("{name:?}: only ours has parameters"));
            };
            set(parameters, word).map_err(|error| format!("{name:?}: {error}"))?;
        }
        let name = name.to_owned();
        Ok(Named { name, policy })
    }
}

fn set(parameters: &mut Parameters, word: &str) -> Result<(), String> {
    let (key, text) = word.split_once('=').ok_or("expected KEY=NUMBER")?;
    let number: f64 = text
        .parse()
        .ok()
        .filter(|number| (0.0..=1e6).contains(number))
        .ok_or_else(|| format!("{text:?} is no number from 0 on"))?;
    let whole = number as u32;
    match key {
        "block_paths" => parameters.block_paths = whole,
        "block_at" => parameters.block_at = Fixed::of(number),
        "kappa" => parameters.kappa = Some(Fixed::of(number)),
        "w0" => parameters.w0 = (number * 10_000.0).round().clamp(1.0, 1e9) as u32,
        "hops" => parameters.hops = whole.min(8),
        "alpha" => parameters.alpha = (number.min(1.0) * 1e6).round() as u32,
        other => {
            return Err(format!(
                "there is no parameter {other}: block_paths, block_at, kappa, w0, hops, alpha"
            ));
        }
    }
    Ok(())
}

/// What decides how a walk goes. Policies that agree in it share what is costly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Walk {
    pub(crate) alpha: u32,
    pub(crate) w0: u32,
    pub(crate) hops: u32,
}

impl Walk {
    pub(crate) fn of(parameters: &Parameters) -> Walk {
        Walk {
            alpha: parameters.alpha,
            w0: parameters.w0,
            hops: parameters.hops,
        }
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Walk { alpha, w0, hops } = self;
        write!(f, "alpha {alpha}, w0 {w0}, hops {hops}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_parameters() {
        let default = Parameters::default();
        assert_eq!(Named::read("ours").unwrap().policy, Policy::Ours(default));
        let written = Named::read("ours w0=4 hops=4 alpha=0.8 block_paths=3 block_at=2.5");
        assert_eq!(written.unwrap().policy, Policy::Ours(default));
        let Policy::Ours(other) = Named::read("ours kappa=0.05 w0=3").unwrap().policy else {
            panic!("these are ours");
        };
        assert_eq!((other.kappa, other.w0), (Some(Fixed::of(0.05)), 30_000));
        for wrong in [
            "",
            "theirs",
            "naive w0=3",
            "ours w0",
            "ours w0=-1",
            "ours x=1",
        ] {
            assert!(Named::read(wrong).is_err(), "{wrong}");
        }
    }
}

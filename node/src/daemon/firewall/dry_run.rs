//! The firewall that does nothing: decisions are only written down.

use std::time::Duration;

use super::{Backend, Entry, Health, Hit};

/// Does nothing, and always well.
#[derive(Clone, Copy, Debug)]
pub struct DryRun;

impl Backend for DryRun {
    fn replace(&mut self, _: &[(Entry, Duration)]) -> Result<(), String> {
        Ok(())
    }

    fn change(&mut self, _: &[(Entry, Option<Duration>)]) -> Result<(), String> {
        Ok(())
    }

    fn look(&mut self, entries: &[Entry]) -> Result<Vec<bool>, String> {
        Ok(vec![true; entries.len()])
    }

    fn open(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn check(&mut self) -> Health {
        Health::Sound
    }

    fn hits(&mut self) -> Result<Option<(Vec<Hit>, u64)>, String> {
        Ok(None)
    }
}

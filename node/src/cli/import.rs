//! `lymph decisions import`: lists of others become decisions, in portions, with progress.
use super::args::{Global, Import};
use super::out::Out;
use anyhow::Result;
pub(super) fn run(_: &Global, _: &Import, _: &mut Out) -> Result<()> {
    anyhow::bail!("soon")
}

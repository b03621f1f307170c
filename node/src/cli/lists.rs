//! stub
pub(super) struct Row<'a> {
    pub subject: &'a str,
    pub scope: &'a str,
    pub kind: &'a str,
    pub seconds_left: u64,
    pub reason: &'a str,
    pub origin: &'a str,
}
pub(super) fn write_json<'a>(
    _: impl Iterator<Item = Row<'a>>,
    _: &mut impl std::io::Write,
) -> std::io::Result<()> {
    Ok(())
}
pub(super) fn write_csv<'a>(
    _: impl Iterator<Item = Row<'a>>,
    _: &mut impl std::io::Write,
) -> std::io::Result<()> {
    Ok(())
}
pub(super) fn write_plain<'a>(
    _: impl Iterator<Item = Row<'a>>,
    _: &mut impl std::io::Write,
) -> std::io::Result<()> {
    Ok(())
}

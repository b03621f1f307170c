//! The time zones that this machine knows, as the tables that the rules read dates with. The only user of jiff.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lymph_scenarios::date::Zone;

/// Until when changes are looked up, in seconds since the epoch: the end of the century. After that the last
/// offset stays.
const UNTIL_SECS: i64 = 4_102_444_800;

/// The zone that this machine is in. Where it cannot be found out it is UTC, and the text says so.
#[must_use]
pub fn of_this_machine() -> (Zone, Option<String>) {
    match TimeZone::try_system() {
        Ok(zone) => (table(&zone), None),
        // A container without any setting is in UTC, as the C library has it.
        Err(_) if !is_set() => (Zone::default(), None),
        Err(error) => {
            let said = format!(
                "the time zone of this machine is not known ({error}): dates without an offset are read as UTC; \
                 install tzdata, or mend TZ or /etc/localtime"
            );
            (Zone::default(), Some(said))
        }
    }
}

fn is_set() -> bool {
    std::env::var_os("TZ").is_some() || std::fs::symlink_metadata("/etc/localtime").is_ok()
}

/// The zone with a name such as `Europe/Berlin`.
pub fn named(name: &str) -> Result<Zone, String> {
    if name == "UTC" {
        return Ok(Zone::default());
    }
    let zone = TimeZone::get(name).map_err(|_| {
        format!(
            "no time zone {name:?} on this machine, expected one such as Europe/Berlin or UTC: `timedatectl list-timezones` \
             lists them; if it lists none, install tzdata"
        )
    })?;
    Ok(table(&zone))
}

fn table(zone: &TimeZone) -> Zone {
    let first = zone.to_offset(Timestamp::UNIX_EPOCH).seconds();
    let changes = zone
        .following(Timestamp::UNIX_EPOCH)
        .map(|change| (change.timestamp().as_second(), change.offset().seconds()))
        .take_while(|(since, _)| *since < UNTIL_SECS);
    Zone::new(first, changes.collect())
}

#[cfg(test)]
mod tests {
    use lymph_scenarios::date::{Yearless, parse_date};

    use super::*;

    #[test]
    fn a_zone_is_known_with_all_its_changes() {
        for (zone, text, expected) in [
            (
                "Europe/Berlin",
                "2026-03-29 01:59:59",
                "2026-03-29T01:59:59+01:00",
            ),
            (
                "Europe/Berlin",
                "2026-03-29 03:00:00",
                "2026-03-29T03:00:00+02:00",
            ),
            // Beyond what the file lists, by the rule at its end.
            (
                "Europe/Berlin",
                "2099-07-01 12:00:00",
                "2099-07-01T12:00:00+02:00",
            ),
            (
                "America/New_York",
                "2026-11-24 06:02:44",
                "2026-11-24T06:02:44-05:00",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-24 06:02:44",
                "2026-11-24T06:02:44+05:45",
            ),
            ("UTC", "2026-11-24 06:02:44", "2026-11-24T06:02:44Z"),
        ] {
            let now = lymph_protocol::Timestamp::from_secs(5_000_000_000);
            let date = parse_date(text.as_bytes(), b"", now, Yearless::Latest).unwrap();
            assert_eq!(
                named(zone).unwrap().place(date, now).to_string(),
                expected,
                "{zone}"
            );
        }
        let error = named("Europe/Berlim").unwrap_err();
        assert!(
            error.contains("\"Europe/Berlim\"") && error.contains("list-timezones"),
            "{error}"
        );
    }
}

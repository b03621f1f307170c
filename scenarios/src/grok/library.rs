//! The patterns that every rule may use by name, under the names that are usual since logstash.
//!
//! Written for RE2 (no look-around, no back-references) from the formats' own definitions, so that they accept
//! what CrowdSec's patterns of these names accept. Where the usual pattern is stricter or laxer than the format,
//! rules count on that, and it stays: a comment says so. Lines of particular programs are in
//! `library/programs`.

mod programs;

/// Names and patterns of the whole library; each uses only those in front of it.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    BASE.iter().chain(programs::PROGRAMS).copied()
}

const BASE: &[(&str, &str)] = &[
    // Text.
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("NOTDQUOTE", r#"[^"]*"#),
    (
        "QUOTEDSTRING",
        r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`"#,
    ),
    ("QS", r"%{QUOTEDSTRING}"),
    (
        "UUID",
        r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    ),
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", r"%{USERNAME}"),
    // Numbers.
    ("INT", r"[+-]?[0-9]+"),
    ("POSINT", r"\b[1-9][0-9]*\b"),
    ("NONNEGINT", r"\b[0-9]+\b"),
    // A point belongs to a number only with digits behind it: `took 5.` ends a sentence.
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", r"%{BASE10NUM}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    (
        "BASE16FLOAT",
        r"\b[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)\b",
    ),
    // Networks.
    ("CISCOMAC", r"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"),
    ("WINDOWSMAC", r"(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}"),
    ("COMMONMAC", r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"),
    ("MAC", r"%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC}"),
    // Leading zeros pass, as programs write them.
    (
        "IPV4",
        r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])",
    ),
    // RFC 4291 2.2, by the number of groups in front of the `::`, then RFC 4007's zone. An IPv4 address at the
    // end is tried first: half of one (`::ffff:192`) would be an address too, and another one.
    (
        "IPV6",
        concat!(
            r"(?:(?:[0-9A-Fa-f]{1,4}:){7}(?:[0-9A-Fa-f]{1,4}|:)",
            r"|(?:[0-9A-Fa-f]{1,4}:){6}(?:%{IPV4}|:[0-9A-Fa-f]{1,4}|:)",
            r"|(?:[0-9A-Fa-f]{1,4}:){5}(?::%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,2}|:)",
            r"|(?:[0-9A-Fa-f]{1,4}:){4}(?:(?::[0-9A-Fa-f]{1,4})?:%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,3}|:)",
            r"|(?:[0-9A-Fa-f]{1,4}:){3}(?:(?::[0-9A-Fa-f]{1,4}){0,2}:%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,4}|:)",
            r"|(?:[0-9A-Fa-f]{1,4}:){2}(?:(?::[0-9A-Fa-f]{1,4}){0,3}:%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,5}|:)",
            r"|[0-9A-Fa-f]{1,4}:(?:(?::[0-9A-Fa-f]{1,4}){0,4}:%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,6}|:)",
            r"|:(?:(?::[0-9A-Fa-f]{1,4}){0,5}:%{IPV4}|(?::[0-9A-Fa-f]{1,4}){1,7}|:))",
            r"(?:%[0-9A-Za-z._~-]+)?",
        ),
    ),
    ("IP", r"%{IPV6}|%{IPV4}"),
    // RFC 1123, and a dot at the end.
    (
        "HOSTNAME",
        r"\b[0-9A-Za-z][0-9A-Za-z-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z-]{0,62})*\.?",
    ),
    ("HOST", r"%{HOSTNAME}"),
    ("IPORHOST", r"%{IP}|%{HOSTNAME}"),
    ("HOSTPORT", r"%{IPORHOST}:%{POSINT}"),
    // A part of what RFC 5321 allows, and `:`, which is in the names of some services.
    ("EMAILLOCALPART", r"[a-zA-Z0-9_+,./:;=-]+"),
    ("EMAILADDRESS", r"%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("HTTPDUSER", r"%{EMAILADDRESS}|%{USER}"),
    // Paths, and addresses of resources.
    ("UNIXPATH", r"(?:/(?:[\w%!$@:.,~-]|\\.)*)+"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+"),
    ("PATH", r"%{UNIXPATH}|%{WINPATH}"),
    ("TTY", r"/dev/(?:pts|tty[pq]?)\w*/?[0-9]+"),
    ("URIPROTO", r"[A-Za-z]+(?:\+[A-Za-z+]+)?"),
    ("URIHOST", r"%{IPORHOST}(?::%{POSINT:port})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%_-]*)+"),
    ("URIPARAM", r"\?[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*"),
    ("URIPATHPARAM", r"%{URIPATH}(?:%{URIPARAM})?"),
    (
        "URI",
        r"%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
    ),
    // Dates. Months and days begin and end anywhere, since some formats write `02Jan2006`; months in English,
    // and in German where the first letters differ.
    (
        "MONTH",
        r"Jan(?:uary?)?|Feb(?:ruary?)?|Mar(?:ch|z)?|März?|Apr(?:il)?|Mai|May|Jun[ei]?|July?|Aug(?:ust)?|Sep(?:tember)?|O[ck]t(?:ober)?|Nov(?:ember)?|De[cz](?:ember)?",
    ),
    ("MONTHNUM", r"0?[1-9]|1[0-2]"),
    ("MONTHNUM2", r"0[1-9]|1[0-2]"),
    ("MONTHDAY", r"0[1-9]|[12][0-9]|3[01]|[1-9]"),
    (
        "DAY",
        r"Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?",
    ),
    ("YEAR", r"[0-9]{4}|[0-9]{2}"),
    ("HOUR", r"2[0-3]|[01]?[0-9]"),
    ("MINUTE", r"[0-5][0-9]"),
    // 60 is a leap second. The fraction belongs to the second.
    ("SECOND", r"(?:60|[0-5]?[0-9])(?:[:.,][0-9]+)?"),
    ("TIME", r"%{HOUR}:%{MINUTE}:%{SECOND}"),
    ("DATE_US", r"%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", r"%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE_X", r"%{YEAR}/%{MONTHNUM2}/%{MONTHDAY}"),
    ("ISO8601_TIMEZONE", r"Z|[+-]%{HOUR}:?%{MINUTE}"),
    ("ISO8601_SECOND", r"%{SECOND}"),
    (
        "TIMESTAMP_ISO8601",
        r"%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?(?:%{ISO8601_TIMEZONE})?",
    ),
    ("DATE", r"%{DATE_US}|%{DATE_EU}|%{DATE_X}"),
    ("DATESTAMP", r"%{DATE}[- ]%{TIME}"),
    ("TZ", r"[A-Z]{3}"),
    ("NUMTZ", r"[+-][0-9]{4}"),
    (
        "DATESTAMP_RFC822",
        r"%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
    ),
    (
        "DATESTAMP_RFC2822",
        r"%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
    ),
    (
        "DATESTAMP_OTHER",
        r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
    ),
    (
        "DATESTAMP_EVENTLOG",
        r"%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
    ),
    (
        "HTTPDERROR_DATE",
        r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}",
    ),
    // The layouts of Go's package time.
    ("ANSIC", r"%{DAY} %{MONTH} +%{MONTHDAY} %{TIME} %{YEAR}"),
    (
        "UNIXDATE",
        r"%{DAY} %{MONTH} +%{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
    ),
    (
        "RUBYDATE",
        r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{NUMTZ} %{YEAR}",
    ),
    (
        "RFC822Z",
        r"%{MONTHDAY} %{MONTH} %{YEAR} %{HOUR}:%{MINUTE}(?::%{SECOND})? %{NUMTZ}",
    ),
    (
        "RFC850",
        r"%{DAY}, %{MONTHDAY}-%{MONTH}-%{YEAR} %{TIME} %{TZ}",
    ),
    (
        "RFC1123",
        r"%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{TZ}",
    ),
    (
        "RFC1123Z",
        r"%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{NUMTZ}",
    ),
    (
        "RFC3339",
        r"%{YEAR}-[01][0-9]-[0-3][0-9]T%{TIME}%{ISO8601_TIMEZONE}",
    ),
    (
        "RFC3339NANO",
        r"%{YEAR}-[01][0-9]-[0-3][0-9]T%{HOUR}:%{MINUTE}:[0-5][0-9]\.[0-9]{9}%{ISO8601_TIMEZONE}",
    ),
    ("KITCHEN", r"[0-9]{1,2}:[0-9]{2}(?:AM|PM|am|pm)"),
    ("HTTPDATE", r"%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    // Syslog. A program's name is anything visible but brackets.
    ("SYSLOGTIMESTAMP", r"%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[!-Z\\^-~]+"),
    ("SYSLOGPROG", r"%{PROG:program}(?:\[%{POSINT:pid}\])?"),
    ("SYSLOGHOST", r"%{IPORHOST}"),
    (
        "SYSLOGFACILITY",
        r"<%{NONNEGINT:facility}.%{NONNEGINT:priority}>",
    ),
    (
        "SYSLOGBASE",
        r"%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:",
    ),
    (
        "LOGLEVEL",
        concat!(
            r"[Aa]lert|ALERT|[Tt]race|TRACE|[Dd]ebug|DEBUG|[Nn]otice|NOTICE|[Ii]nfo|INFO",
            r"|[Ww]arn(?:ing)?|WARN(?:ING)?|[Ee]rr(?:or)?|ERR(?:OR)?|[Cc]rit(?:ical)?|CRIT(?:ICAL)?",
            r"|[Ff]atal|FATAL|[Ss]evere|SEVERE|EMERG(?:ENCY)?|[Ee]merg(?:ency)?",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::all;
    use crate::event::Keys;
    use crate::grok::{Grok, Patterns};
    use crate::pattern::{self, Limits};

    #[test]
    fn each_compiles_and_uses_only_those_in_front_of_it() {
        let mut earlier: Vec<String> = Vec::new();
        for (name, written) in all() {
            for used in written.split("%{").skip(1) {
                let used = used.split([':', '}']).next().unwrap();
                assert!(
                    earlier.iter().any(|known| known == used),
                    "{name} uses {used}"
                );
            }
            assert!(
                !earlier.iter().any(|known| known == name),
                "{name} stands twice"
            );
            earlier.push(name.to_owned());
            let grok = Grok::compile(
                &format!("%{{{name}:x}}"),
                &Patterns::default(),
                &mut Keys::default(),
            );
            grok.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    /// What a pattern finds, first and as a whole.
    fn check(name: &str, text: &str, expected: &str) {
        let expanded = Patterns::default().expand(&format!("%{{{name}}}")).unwrap();
        let regex = pattern::compile(&expanded.pattern, Limits::RULE).unwrap();
        let found = regex
            .find(text.as_bytes())
            .map_or("", |found| std::str::from_utf8(found.as_bytes()).unwrap());
        assert_eq!(found, expected, "{name} in {text:?}");
    }

    #[test]
    fn each_finds_what_its_name_says() {
        let cases = [
            ("IPV4", "from 192.0.2.255:22", "192.0.2.255"),
            ("IPV4", "010.001.000.255", "010.001.000.255"),
            ("IPV4", "1.2.3.256", "1.2.3.25"),
            ("IPV4", "1.2.3", ""),
            ("IPV6", "x 2001:db8::1]", "2001:db8::1"),
            ("IPV6", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8"),
            ("IPV6", "::", "::"),
            ("IPV6", "1::", "1::"),
            ("IPV6", "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("IPV6", "64:ff9b::192.0.2.1", "64:ff9b::192.0.2.1"),
            ("IPV6", "1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:192.0.2.1"),
            ("IPV6", "fe80::1%eth0 port", "fe80::1%eth0"),
            ("IPV6", "1:2:3", ""),
            ("IP", "12:00:01 192.0.2.1", "192.0.2.1"),
            ("IPORHOST", "a-b.example.com. x", "a-b.example.com."),
            ("HOSTNAME", "my_host", "my"),
            ("HOSTPORT", "example.com:8080", "example.com:8080"),
            ("MAC", "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
            ("MAC", "aabb.ccdd.eeff", "aabb.ccdd.eeff"),
            (
                "EMAILADDRESS",
                "<a.b+c=d@example.com>",
                "a.b+c=d@example.com",
            ),
            ("HTTPDUSER", "bob@example.com -", "bob@example.com"),
            ("INT", "x-12.5", "-12"),
            ("NUMBER", "took 5.", "5"),
            ("NUMBER", "took .25s", ".25"),
            ("BASE16NUM", "0xFFg", "0xFF"),
            ("POSINT", "0 01 10", "10"),
            ("NONNEGINT", "a1 23", "23"),
            ("QUOTEDSTRING", r#"say "a \" b" c"#, r#""a \" b""#),
            ("QUOTEDSTRING", "say '' c", "''"),
            (
                "UUID",
                "id=123e4567-e89b-12d3-a456-426614174000;",
                "123e4567-e89b-12d3-a456-426614174000",
            ),
            ("PATH", "GET /a/b.c?d", "/a/b.c"),
            ("WINPATH", r"in C:\a b\c?", r"C:\a b\c"),
            ("TTY", "on /dev/pts/0 by", "/dev/pts/0"),
            (
                "URI",
                "see https://bob:pw@example.com:8443/a?b=c d",
                "https://bob:pw@example.com:8443/a?b=c",
            ),
            ("URIPATHPARAM", "GET /a;b?c=d&e HTTP", "/a;b?c=d&e"),
            ("MONTH", "11Sept 3", "Sep"),
            ("MONTH", "3. M\u{e4}rz", "M\u{e4}rz"),
            ("MONTH", "31 December", "December"),
            ("MONTHDAY", "31", "31"),
            ("YEAR", "2026", "2026"),
            ("TIME", "at 23:59:60.123 x", "23:59:60.123"),
            (
                "TIMESTAMP_ISO8601",
                "[2026-01-03T09:05:07.1+02:00]",
                "2026-01-03T09:05:07.1+02:00",
            ),
            (
                "TIMESTAMP_ISO8601",
                "2026-01-03 09:05:07,123 x",
                "2026-01-03 09:05:07,123",
            ),
            ("RFC3339", "2026-01-03T09:05:07Z", "2026-01-03T09:05:07Z"),
            (
                "RFC3339NANO",
                "2026-01-03T09:05:07.123456789-03:30",
                "2026-01-03T09:05:07.123456789-03:30",
            ),
            (
                "RFC850",
                "Saturday, 03-Jan-26 09:05:07 UTC",
                "Saturday, 03-Jan-26 09:05:07 UTC",
            ),
            (
                "RFC1123Z",
                "Sat, 03 Jan 2026 09:05:07 +0200",
                "Sat, 03 Jan 2026 09:05:07 +0200",
            ),
            (
                "UNIXDATE",
                "Sat Jan  3 09:05:07 UTC 2026",
                "Sat Jan  3 09:05:07 UTC 2026",
            ),
            (
                "HTTPDATE",
                "[03/Jan/2026:09:05:07 +0200]",
                "03/Jan/2026:09:05:07 +0200",
            ),
            (
                "HTTPDERROR_DATE",
                "[Sat Jan 03 09:05:07.123456 2026]",
                "Sat Jan 03 09:05:07.123456 2026",
            ),
            ("DATESTAMP", "03/01/2026 09:05:07", "03/01/2026 09:05:07"),
            ("DATESTAMP_EVENTLOG", "20260103090507", "20260103090507"),
            ("SYSLOGTIMESTAMP", "Jan  3 09:05:07 host", "Jan  3 09:05:07"),
            (
                "NGINXERRTIME",
                "2026/01/03 09:05:07 [error]",
                "2026/01/03 09:05:07",
            ),
            ("PROG", "sshd-session[7]:", "sshd-session"),
            ("SYSLOGPROG", "postfix/smtpd[7]:", "postfix/smtpd[7]"),
            ("LOGLEVEL", "[WARNING]", "WARNING"),
            (
                "SYSLOGBASE",
                "Jan  3 09:05:07 host sshd[7]: x",
                "Jan  3 09:05:07 host sshd[7]:",
            ),
        ];
        for (name, text, expected) in cases {
            check(name, text, expected);
        }
    }
}

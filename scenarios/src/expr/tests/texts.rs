//! Functions on texts, numbers and times.

use super::{check, check_all, check_fails};

#[test]
fn case_and_trimming() {
    check_all(&[
        ("lower('AbC')", "'abc'"),
        ("Lower('ÄÖ')", "'äö'"),
        ("Lower('İ')", "'i'"),
        ("upper('abc1')", "'ABC1'"),
        ("Upper('äß')", "'Äß'"),
        (r#"Lower(b"A\xff") == "a\ufffd""#, "true"),
        ("trim('  a b ')", "'a b'"),
        ("trim('__a__', '_')", "'a'"),
        ("TrimSpace(' \\t a\\n')", "'a'"),
        (r#"TrimSpace(b" \xff ") == b"\xff""#, "true"),
        ("Trim('xxaxx', 'x')", "'a'"),
        ("Trim('äaä', 'ä')", "'a'"),
        ("Trim('xx', 'x')", "''"),
        ("TrimLeft('xxax', 'x')", "'ax'"),
        ("TrimRight('xaxx', 'x')", "'xa'"),
        ("trimPrefix('HelloWorld', 'Hello')", "'World'"),
        ("TrimPrefix('abc', 'x')", "'abc'"),
        ("trimPrefix(' a')", "'a'"),
        ("trimSuffix('a,', ',')", "'a'"),
        ("TrimSuffix('abc', 'bc')", "'a'"),
    ]);
    check_fails("Lower(nil)", "Lower must be given a text, not nil");
    check_fails("Upper(1)", "Upper must be given a text, not an int");
    check_fails("TrimPrefix('a', 1)", "TrimPrefix must be given a text");
}

#[test]
fn splitting_and_joining() {
    check_all(&[
        ("split('a,b,c', ',')", "['a', 'b', 'c']"),
        ("split('a,b,c', ',', 2)", "['a', 'b,c']"),
        ("split('a,b', ',', 0)", "[]"),
        ("split('a,b', ',', -1)", "['a', 'b']"),
        ("split('', ',')", "['']"),
        ("split('aäb', '')", "['a', 'ä', 'b']"),
        ("split('abc', '', 2)", "['a', 'bc']"),
        ("Split('a, b', ', ')", "['a', 'b']"),
        ("Split('a', ',')[0]", "'a'"),
        ("SplitN('a:b:c', ':', 2)", "['a', 'b:c']"),
        ("splitAfter('a,b,c', ',')", "['a,', 'b,', 'c']"),
        ("SplitAfter('a,b', ',')", "['a,', 'b']"),
        ("SplitAfterN('a,b,c', ',', 2)", "['a,', 'b,c']"),
        ("Fields('  a b\\tc ')", "['a', 'b', 'c']"),
        ("Fields('')", "[]"),
        ("join(['a', 'b'], '-')", "'a-b'"),
        ("join(['a', 'b'])", "'ab'"),
        ("Join(split('a b', ' '), '+')", "'a+b'"),
        ("join([], ',')", "''"),
    ]);
    check_fails("join([1])", "join must be given a text");
    check_fails("split('a', 1)", "split must be given a text");
}

#[test]
fn searching_and_replacing() {
    check_all(&[
        ("replace('aXbX', 'X', '-')", "'a-b-'"),
        ("replace('aXbX', 'X', '-', 1)", "'a-bX'"),
        ("Replace('aaa', 'a', 'b', 2)", "'bba'"),
        ("Replace('aaa', 'a', 'b', -1)", "'bbb'"),
        ("ReplaceAll('a.b.c', '.', '')", "'abc'"),
        ("replace('ab', '', '-')", "'-a-b-'"),
        ("replace('ab', '', '-', 2)", "'-a-b'"),
        ("replace('ab', 'x', 'y')", "'ab'"),
        ("repeat('ab', 2)", "'abab'"),
        ("repeat('', 1000)", "''"),
        ("indexOf('apple pie', 'pie')", "6"),
        ("indexOf('a', 'x')", "-1"),
        ("Index('abc', 'c')", "2"),
        ("lastIndexOf('a:b:c', ':')", "3"),
        ("lastIndexOf('abc', '')", "3"),
        ("IndexAny('abc', 'xcb')", "1"),
        ("IndexAny('abä', 'ä')", "2"),
        ("hasPrefix('abc', 'ab')", "true"),
        ("hasSuffix('abc', 'ab')", "false"),
        ("Match('*.exe', 'a.exe')", "true"),
        ("Match('*\\\\cmd.exe', 'C:\\\\x\\\\cmd.exe')", "true"),
        ("Match('a?c*', 'abcd')", "true"),
        ("Match('a?c', 'ac')", "false"),
        ("Match('', '')", "true"),
        ("Match('*', '')", "true"),
        ("Match('**', '')", "false"),
        ("Match('a*b*c', 'a1b2c3')", "false"),
        ("Match('*a*b', 'xaxxab')", "true"),
        ("basename('/var/log/a.log')", "'a.log'"),
        ("basename('a/b//')", "'b'"),
        ("basename('/')", "'/'"),
        ("basename('')", "'.'"),
        ("len('äb')", "2"),
        (r#"len(b"\xff\xc3")"#, "2"),
        ("Get(['a', 'b'], 1)", "'b'"),
        ("Get(['a', 'b'], 2)", "''"),
        ("ToString('a')", "'a'"),
        ("ToString(1)", "''"),
    ]);
    check_fails("repeat('a', -1)", "less than no times");
    check_fails("Get(['a'], -1)", "has no element");
}

#[test]
fn numbers() {
    check_all(&[
        ("int('404')", "404"),
        ("int('+5')", "5"),
        ("int(3.9)", "3"),
        ("int(-3.9)", "-3"),
        ("float('1.5')", "1.5"),
        ("float(2)", "2.0"),
        ("float('1e3')", "1000.0"),
        ("Atof('x')", "0.0"),
        ("Atof('2.5')", "2.5"),
        ("abs(-5)", "5"),
        ("abs(-1.5)", "1.5"),
        ("ceil(1.2)", "2.0"),
        ("floor(-1.2)", "-2.0"),
        ("round(2.5)", "3.0"),
        ("round(-2.5)", "-3.0"),
        ("ceil(1)", "1.0"),
        ("max(1, 3, 2.5)", "3"),
        ("max([1, 5], 2)", "5"),
        ("min(1.5, 2)", "1.5"),
        ("max([])", "nil"),
        ("mean([1, 2, 3])", "2.0"),
        ("mean([])", "0.0"),
        ("median([3, 1, 2])", "2.0"),
        ("median(1, 2, 3, 4)", "2.5"),
        ("bitand(0b1010, 0b1100)", "8"),
        ("bitor(10, 12)", "14"),
        ("bitxor(10, 12)", "6"),
        ("bitnand(10, 12)", "2"),
        ("bitnot(10)", "-11"),
        ("bitshl(45, 2)", "180"),
        ("bitshl(1, 64)", "0"),
        ("bitshr(-8, 1)", "-4"),
        ("bitushr(-5, 2)", "4611686018427387902"),
        ("FloatApproxEqual(1.0000001, 1.0)", "true"),
        ("FloatApproxEqual(1, 1.1)", "false"),
        ("type(1)", "'int'"),
        ("type(1.5)", "'float'"),
        ("type('a')", "'string'"),
        ("type([])", "'array'"),
        ("type({})", "'map'"),
        ("type(nil)", "'nil'"),
        ("type(true)", "'bool'"),
        ("type(now())", "'time.Time'"),
    ]);
    check_fails("int('4x')", "is no whole number");
    check_fails("int('')", "is no whole number");
    check_fails("int('99999999999999999999')", "is no whole number");
    check_fails("int(nil)", "int must be given a text");
    check_fails("float('x')", "is no number");
    check_fails("float('1e999')", "is no number");
    check_fails("abs('a')", "abs must be given a number");
    check_fails("max('a')", "must be given numbers");
    check_fails("bitshl(1, -1)", "less than nothing");
    check_fails("bitand(1.5, 1)", "whole number");
}

#[test]
fn texts_of_values() {
    check_all(&[
        ("string(1)", "'1'"),
        ("string(1.0)", "'1'"),
        ("string(1.5e300)", "'1.5e+300'"),
        ("string(123456.5)", "'123456.5'"),
        ("string(1646861401.5)", "'1.6468614015e+09'"),
        ("string(0.0001)", "'0.0001'"),
        ("string(0.00001)", "'1e-05'"),
        ("string(true)", "'true'"),
        ("string([1, 'a'])", "'[1 a]'"),
        ("string({b: 1, a: nil})", "'map[a:<nil> b:1]'"),
        ("string(duration('90s'))", "'1m30s'"),
        ("Sprintf('a')", "'a'"),
        ("Sprintf('%s-%d', 'x', 5)", "'x-5'"),
        ("Sprintf('%v %v %v', 1, 'a', [1, 2])", "'1 a [1 2]'"),
        ("Sprintf('%+v', [])", "'[]'"),
        (
            "Sprintf('%5d|%-5d|%05d', 42, 42, -42)",
            "'   42|42   |-0042'",
        ),
        (
            "Sprintf('%x %X %o %b %c', 255, 255, 8, 5, 65)",
            "'ff FF 10 101 A'",
        ),
        ("Sprintf('%#x', 255)", "'0xff'"),
        (
            "Sprintf('%.2f|%8.3f|%f', 1.005, 3.14159, 2.0)",
            "'1.00|   3.142|2.000000'",
        ),
        (
            "Sprintf('%e %g %G', 1234.5, 1234567890.0, 1e-10)",
            "'1.234500e+03 1.23456789e+09 1E-10'",
        ),
        ("Sprintf('%.3g %.3g', 1234.5, 0.5)", "'1.23e+03 0.5'"),
        ("Sprintf('%q', 'a\"b')", r#"'"a\"b"'"#),
        ("Sprintf('%t %v', true, nil)", "'true <nil>'"),
        ("Sprintf('%d', 'a')", "'%!d(string=a)'"),
        ("Sprintf('%d', 1.5)", "'%!d(float64=1.5)'"),
        ("Sprintf('%s', 1)", "'%!s(int=1)'"),
        ("Sprintf('%d')", "'%!d(MISSING)'"),
        ("Sprintf('a', 1)", "'a%!(EXTRA int=1)'"),
        ("Sprintf('%')", "'%!(NOVERB)'"),
        ("Sprintf('100%%')", "'100%'"),
        (
            "Sprintf('%.2s|%5s|%-5s|', 'abc', 'ab', 'ab')",
            "'ab|   ab|ab   |'",
        ),
        ("Sprintf('%x', 'hi')", "'6869'"),
        ("Sprintf('%+d % d', 5, 5)", "'+5  5'"),
        ("Sprintf('%s', duration('1h'))", "'1h0m0s'"),
        (
            "Sprintf('%v %d', date('2026-03-01').Weekday(), date('2026-03-01').Month())",
            "'Sunday 3'",
        ),
    ]);
}

#[test]
fn times() {
    check_all(&[
        ("now()", "2026-03-01T10:00:00Z"),
        ("TimeNow()", "'2026-03-01T10:00:00Z'"),
        ("date('2023-08-14').Year()", "2023"),
        ("date('2023-08-14 10:11:12').Minute()", "11"),
        ("date('14/08/2023', '02/01/2006').Day()", "14"),
        ("date('2023-08-14T00:00:00Z').Month() == 8", "true"),
        ("date('2023-08-14').Month().String()", "'August'"),
        ("date('2026-03-01').Weekday().String()", "'Sunday'"),
        ("date('2026-03-01').Weekday() == 0", "true"),
        ("date('2026-03-01').YearDay()", "60"),
        ("date('2026-03-01').Unix()", "1772323200"),
        ("date('2026-03-01').UnixMilli()", "1772323200000"),
        ("date('2026-03-01').Format('02 Jan')", "'01 Mar'"),
        (
            "date('2026-03-01').String()",
            "'2026-03-01 00:00:00 +0000 UTC'",
        ),
        (
            "string(date('2026-03-01T01:00:00+02:00'))",
            "'2026-03-01 01:00:00 +0200 +0200'",
        ),
        ("now().Sub(now()) == duration('0s')", "true"),
        ("now() - duration('1h')", "2026-03-01T09:00:00Z"),
        ("now() + duration('90m')", "2026-03-01T11:30:00Z"),
        ("duration('1s') + now()", "2026-03-01T10:00:01Z"),
        ("now() - date('2026-03-01')", "10h0m0s"),
        ("now().Add(duration('1s')).After(now())", "true"),
        ("now().Before(now())", "false"),
        ("now().Hour()", "10"),
        ("now().UTC().Second()", "0"),
        (
            "date('2023-01-31').AddDate(0, 1, 0)",
            "2023-03-03T00:00:00Z",
        ),
        (
            "date('2023-01-31').AddDate(-1, -1, 2)",
            "2022-01-02T00:00:00Z",
        ),
        (
            "date('2023-08-14T01:29:31+02:00').Round(duration('1h'))",
            "2023-08-14T01:00:00+02:00",
        ),
        (
            "date('2023-08-14T01:59:31Z').Truncate(duration('1h'))",
            "2023-08-14T01:00:00Z",
        ),
        (
            "date('2023-08-14T01:59:31Z').Round(duration('0s'))",
            "2023-08-14T01:59:31Z",
        ),
        ("date('2023-08-14').Compare(date('2023-08-15'))", "-1"),
        ("duration('-90m').Round(duration('1h'))", "-2h0m0s"),
        ("duration('89m').Round(duration('1h'))", "1h0m0s"),
        ("duration('119m').Truncate(duration('1h'))", "1h0m0s"),
        ("duration('1h') * 2", "2h0m0s"),
        ("duration('1h') - duration('1m')", "59m0s"),
        ("-duration('1s')", "-1s"),
        ("duration('1h').Seconds()", "3600.0"),
        ("duration('90s').Minutes()", "1.5"),
        ("duration('1500ms').Milliseconds()", "1500"),
        ("duration('-1s').Abs().String()", "'1s'"),
        ("ParseUnix('1772359200')", "'2026-03-01T10:00:00Z'"),
        ("ParseUnix('1772359200.9')", "'2026-03-01T10:00:00Z'"),
        ("ParseUnix('x')", "''"),
        ("ParseUnix('-5')", "''"),
        (
            "MedianInterval(map([0, 60, 90, 200], {now() + duration(string(#) + 's')}))",
            "1m0s",
        ),
        (
            "MedianInterval(map([0, 10, 30], {now() + duration(string(#) + 's')}))",
            "15s",
        ),
        (
            "AverageInterval(map([30, 0, 10], {now() + duration(string(#) + 's')}))",
            "15s",
        ),
    ]);
    check_fails("duration('x')", "duration");
    check_fails("date('x')", "is no date");
    check_fails(
        "date('2026-01-01', '2006-01-02', 'Europe/Paris')",
        "time zones",
    );
    check_fails("MedianInterval([now()])", "less than two times");
    check_fails("AverageInterval([1, 2])", "must be given times");
    check_fails("now().Foo()", "has no Foo()");
    check_fails("now().Format(1)", "has no Format()");
}

#[test]
fn a_bad_time_never_overflows() {
    check_all(&[
        (
            "type(now() + duration('2562047h') + duration('2562047h'))",
            "'time.Time'",
        ),
        ("type(duration('2562047h') * 1000)", "'time.Duration'"),
    ]);
    check("ParseUnix('9223372036854775807') != ''", "true");
    check(
        "type(now().AddDate(9223372036854775807, 9223372036854775807, -9223372036854775807))",
        "'time.Time'",
    );
    check(
        "type(duration('2562047h').Round(duration('2562047h')).Abs())",
        "'time.Duration'",
    );
    check("type(now().Round(duration('2562047h')))", "'time.Time'");
}

//! Scripts and answers as texts, and a real kernel in a network namespace of its own.

use std::process::{Child, Stdio};

use super::*;

fn entry(target: &str, measure: Measure) -> Entry {
    Entry {
        target: target.parse().unwrap(),
        measure,
    }
}

fn ban(target: &str) -> Entry {
    entry(target, Measure::Ban)
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_set_stands_for_a_measure_a_family_and_a_length() {
    let check = |target: &str, measure, expected: &str| {
        let mut script = String::new();
        add_set(&mut script, set_of(entry(target, measure)));
        assert_eq!(script.lines().nth(1), Some(expected), "{target}");
    };
    check(
        "192.0.2.1",
        Measure::Ban,
        "add rule inet lymph banned ip saddr @ban4_32 goto refuse",
    );
    check(
        "192.0.2.0/24",
        Measure::Ban,
        "add rule inet lymph banned ip saddr & 255.255.255.0 @ban4_24 goto refuse",
    );
    check(
        "0.0.0.0/1",
        Measure::Ban,
        "add rule inet lymph banned ip saddr & 128.0.0.0 @ban4_1 goto refuse",
    );
    check(
        "2001:db8::1",
        Measure::Ban,
        "add rule inet lymph banned ip6 saddr & ffff:ffff:ffff:ffff:: @ban6_64 goto refuse",
    );
    check(
        "2001:db8::/33",
        Measure::Throttle,
        "add rule inet lymph throttled ct state new ip6 saddr & ffff:ffff:8000:: @throttle6_33 goto slow",
    );
    check(
        "192.0.2.1",
        Measure::Throttle,
        "add rule inet lymph throttled ct state new ip saddr @throttle4_32 goto slow",
    );
}

#[test]
fn elements_stand_together_by_set_and_time_is_rounded_up() {
    let mut script = String::new();
    let entries = [
        (ban("192.0.2.1"), Some(HOUR)),
        (ban("192.0.2.0/24"), Some(Duration::from_millis(1001))),
        (ban("192.0.2.2"), Some(Duration::from_millis(1))),
        (ban("192.0.2.3"), None),
    ];
    add_elements(&mut script, entries.into_iter());
    assert_eq!(
        script,
        "add element inet lymph ban4_24 {\n192.0.2.0 timeout 2s,\n}\nadd element inet lymph ban4_32 {\n192.0.2.1 timeout 3600s,\n192.0.2.2 timeout 1s,\n}\n"
    );
}

#[test]
fn finds_our_table_among_others() {
    let ours = "table inet lymph {\n\tset a {\n\t}\n}";
    let listing = format!("table inet other {{\n\tx\n}}\n{ours}\ntable inet lymph2 {{\n}}\n");
    assert_eq!(own_table(&listing), Some(ours));
    assert_eq!(own_table("table inet lymphatic {\n}\n"), None);
    assert_eq!(own_table(""), None);
}

#[test]
fn understands_what_nft_misses() {
    let text = "/dev/stdin:3:37-43: Error: Could not process rule: No such file or directory\ndelete element …\n   ^^^\n/dev/stdin:12:1-2: Error: Could not process rule: No such file or directory\n";
    assert_eq!(missing_lines(text), Some(vec![3, 12]));
    for other in [
        "",
        "nft: not found",
        "/dev/stdin:3:37-43: Error: syntax error, unexpected newline\n",
        "x:y: Error: No such file or directory",
    ] {
        assert_eq!(missing_lines(other), None, "{other}");
    }
}

#[test]
fn counts_what_has_been_added() {
    let answer = r#"{"nftables":[{"metainfo":{}},{"set":{"name":"hits4","elem":[
        {"elem":{"val":"192.0.2.1","timeout":300,"expires":299,"counter":{"packets":7,"bytes":420}}},
        {"elem":{"val":"192.0.2.2","counter":{"packets":2,"bytes":1}}},{"elem":{"val":{"odd":1}}}]}}]}"#;
    let counts = counts_of(&serde_json::from_str(answer).unwrap());
    let before = BTreeMap::from([
        ("192.0.2.1".parse().unwrap(), 3),
        ("192.0.2.2".parse().unwrap(), 9),
    ]);
    let increase: Vec<_> = increase(&before, &counts)
        .into_iter()
        .map(|hit| (hit.address.to_string(), hit.connections))
        .collect();
    assert_eq!(
        increase,
        [("192.0.2.1".to_owned(), 4), ("192.0.2.2".to_owned(), 2)]
    );
    let counter = r#"{"nftables":[{"counter":{"name":"refused","table":"x","packets":5}},{"counter":{"name":"refused","table":"lymph","packets":12,"bytes":3}}]}"#;
    assert_eq!(packets(&serde_json::from_str(counter).unwrap()), 12);
}

/// A network namespace that ends with the test.
struct Namespace(Child);

impl Namespace {
    /// `None` where that is not possible; it is said loudly and counted.
    fn new() -> Option<Self> {
        let skip = |reason: &str| {
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            eprintln!("SKIPPED: {name}: {reason}");
            if let Some(path) = std::env::var_os("LYMPH_SKIPPED_LOG") {
                let mut log = std::fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .unwrap();
                std::io::Write::write_all(
                    &mut log,
                    format!("SKIPPED: {name}: {reason}\n").as_bytes(),
                )
                .unwrap();
            }
            None
        };
        if Nft::find().is_err() {
            return skip("nft is not installed");
        }
        let child = std::process::Command::new("unshare")
            .args(["-n", "sh", "-c", "echo ready; exec sleep 600"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            return skip("unshare is not installed");
        };
        let mut ready = [0; 5];
        let stdout = child.stdout.as_mut().unwrap();
        match std::io::Read::read_exact(stdout, &mut ready) {
            Ok(()) => Some(Namespace(child)),
            Err(_) => skip("namespaces need root"),
        }
    }

    fn command(&self) -> Vec<String> {
        let pid = self.0.id().to_string();
        ["nsenter", "-n", "-t", &pid, "--", "nft"]
            .map(str::to_owned)
            .to_vec()
    }

    fn nft(&self, arguments: &[&str]) -> String {
        let command = self.command();
        let output = std::process::Command::new(&command[0])
            .args(&command[1..])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_kernel_takes_it_all() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    namespace.nft(&[
        "add table inet other; add chain inet other x { type filter hook input priority 0; }",
    ]);
    let other = namespace.nft(&["list table inet other"]);
    let mut firewall = Nftables::by(namespace.command());
    let all = [
        "192.0.2.1",
        "2001:db8:1::7",
        "192.0.2.0/24",
        "192.0.0.0/16",
        "2001:db8::/32",
    ]
    .map(ban);
    let with_time: Vec<_> = all.iter().map(|entry| (*entry, HOUR)).collect();
    firewall.replace(&with_time).unwrap();
    assert_eq!(firewall.look(&all).unwrap(), [true; 5]);
    assert_eq!(firewall.check(), Health::Sound);
    firewall.replace(&with_time).unwrap();

    // Networks within networks come and go as they like.
    let slow = entry("203.0.113.5", Measure::Throttle);
    firewall
        .change(&[
            (ban("192.0.2.0/24"), None),
            (ban("198.51.100.9"), Some(HOUR)),
            (slow, Some(HOUR)),
            (ban("10.0.0.0/9"), None),
        ])
        .unwrap();
    let asked = [
        all[0],
        all[2],
        all[3],
        ban("198.51.100.9"),
        slow,
        ban("10.0.0.0/9"),
        ban("192.0.2.99"),
    ];
    assert_eq!(
        firewall.look(&asked).unwrap(),
        [true, false, true, true, true, false, false]
    );
    assert_eq!(firewall.check(), Health::Sound);

    // Shorter and longer, and over without anybody's doing.
    firewall
        .change(&[
            (all[0], Some(Duration::from_secs(1))),
            (ban("198.51.100.9"), Some(HOUR * 9)),
        ])
        .unwrap();
    let set = namespace.nft(&["list", "set", "inet", "lymph", "ban4_32"]);
    assert!(
        set.contains("timeout 1s") && set.contains("timeout 9h"),
        "{set}"
    );
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(
        firewall.look(&[all[0], ban("198.51.100.9")]).unwrap(),
        [false, true]
    );
    firewall
        .change(&[(all[0], Some(HOUR)), (ban("198.51.100.9"), None)])
        .unwrap();
    assert_eq!(
        firewall.look(&[all[0], ban("198.51.100.9")]).unwrap(),
        [true, false]
    );

    // Somebody takes one out, then changes a rule, then takes everything.
    namespace.nft(&["delete element inet lymph ban4_32 { 192.0.2.1 }"]);
    assert_eq!(
        super::super::verify(&mut firewall, &[(all[0], HOUR), (all[1], HOUR)]),
        Ok(1)
    );
    assert_eq!(firewall.look(&all[..1]).unwrap(), [true]);
    namespace.nft(&["add rule inet lymph input accept"]);
    assert!(matches!(firewall.check(), Health::Lost(_)));
    firewall.replace(&with_time).unwrap();
    assert_eq!(firewall.check(), Health::Sound);
    assert_eq!(namespace.nft(&["list table inet other"]), other);
    namespace.nft(&["flush ruleset"]);
    assert_eq!(
        firewall.check(),
        Health::Lost("the table inet lymph is gone".to_owned())
    );
    assert!(firewall.change(&[(all[0], Some(HOUR))]).is_err());
    firewall.replace(&with_time).unwrap();
    assert_eq!(firewall.look(&all).unwrap(), [true; 5]);
    assert_eq!(firewall.hits(), Ok(Some((Vec::new(), 0))));

    firewall.open().unwrap();
    firewall.open().unwrap();
    assert!(!namespace.nft(&["list ruleset"]).contains("lymph"));
    assert!(firewall.look(&all).unwrap() == [false; 5]);
}

/// Every length that a network can have is a set that the kernel takes.
#[test]
fn the_kernel_takes_every_length() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let mut firewall = Nftables::by(namespace.command());
    let v4 = (1..=32).map(|len| format!("128.0.0.0/{len}"));
    let v6 = (1..=64).map(|len| format!("8000::/{len}"));
    let entries: Vec<_> = v4
        .chain(v6)
        .flat_map(|text| [entry(&text, Measure::Ban), entry(&text, Measure::Throttle)])
        .collect();
    let all: Vec<_> = entries.iter().map(|entry| (*entry, HOUR)).collect();
    firewall.replace(&all).unwrap();
    assert!(
        firewall
            .look(&entries)
            .unwrap()
            .into_iter()
            .all(|found| found)
    );
    assert_eq!(firewall.check(), Health::Sound);
}

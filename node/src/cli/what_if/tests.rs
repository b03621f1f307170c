//! Questions with answers worked out by hand from the formulas, which stand beside them.
//!
//! With the defaults a step along a vouch of weight `w` is worth `0.8 w / max(4, all of its issuer's weights)`, so 0.2 for
//! somebody who vouches for up to four others in full; a newcomer's quality is 11/21; `kappa` is a 200th of one's branches'
//! weights, from 0.02 to 0.08.

use serde_json::{Value, json};

use super::answer::answer;
use super::question::Question;

/// A newcomer's quality: `r = 2/3`, `q = (2/3 - 3/10) / (7/10)`.
const Q0: f64 = 11.0 / 21.0;
const NOW_S: f64 = 1_700_000_000.0;
const HOUR_S: u64 = 3_600;

fn ask(question: &Value) -> Value {
    let question = Question::parse(&question.to_string(), NOW_S)
        .unwrap_or_else(|error| panic!("{error:#}: {question}"));
    serde_json::to_value(answer(question).unwrap()).unwrap()
}

/// `from>to` with weight 1, `from>to=0.5` with another.
fn vouches(text: &str) -> Value {
    let vouch = |word: &str| {
        let (pair, weight) = word.split_once('=').unwrap_or((word, "1"));
        let (from, to) = pair.split_once('>').unwrap();
        json!({"from": from, "to": to, "weight": weight.parse::<f64>().unwrap()})
    };
    text.split_whitespace().map(vouch).collect()
}

/// Each of these reports it just now.
fn reports(text: &str) -> Value {
    let report =
        |by: &str| json!({"by": by, "age_s": 0, "evidence": "handshake", "rule_known": true});
    text.split_whitespace().map(report).collect()
}

/// Everything that is expected is there, numbers to ten digits; an object holds what is named, a list is whole.
fn compare(is: &Value, expected: &Value, at: &str) {
    match (is, expected) {
        (Value::Object(is), Value::Object(expected)) => {
            for (key, expected) in expected {
                let at = format!("{at}.{key}");
                compare(is.get(key).unwrap_or(&Value::Null), expected, &at);
            }
        }
        (Value::Array(is), Value::Array(expected)) if is.len() == expected.len() => {
            for (place, (is, expected)) in is.iter().zip(expected).enumerate() {
                compare(is, expected, &format!("{at}[{place}]"));
            }
        }
        (Value::Number(is), Value::Number(expected)) => {
            let (is, expected) = (is.as_f64().unwrap(), expected.as_f64().unwrap());
            // Shares are kept to 2^-32.
            assert!((is - expected).abs() < 1e-9, "{at}: {is}, not {expected}");
        }
        (is, expected) => assert_eq!(is, expected, "{at}"),
    }
}

fn check(question: Value, expected: Value) {
    let is = ask(&question);
    compare(&is, &expected, "");
    // The order in which reports are written means nothing.
    let count = question["reports"].as_array().map_or(0, Vec::len);
    for turn in 0..count {
        let mut turned = question.clone();
        let reports = turned["reports"].as_array_mut().unwrap();
        reports.rotate_left(turn);
        reports.reverse();
        assert_eq!(ask(&turned), is, "{turned}");
    }
}

#[test]
fn who_knows_nobody_does_nothing() {
    check(
        json!({"ego": "me", "reports": reports("x y z")}),
        json!({
            "branches": [], "T": {}, "q": {"x": Q0, "y": Q0, "z": Q0}, "e": {"x": Q0}, "E_b": {},
            "E": 0, "S": 0, "C": 0, "kappa": 0.02, "paths": 0, "verdict": "clear", "rule": "none",
        }),
    );
}

#[test]
fn one_friend_primes_two_throttle_three_block() {
    let question =
        |by| json!({"ego": "me", "vouches": vouches("me>a me>b me>c"), "reports": reports(by)});
    // Each branch says min(kappa, 1 * q0) = kappa = 0.02; S = 1 - exp(-E / 2 kappa), C = 1 - 1 / branches.
    let expected = |count: u32, verdict: &str, rule: &str| {
        let count = f64::from(count);
        json!({
            "E": 0.02 * count, "S": 1.0 - (-count / 2.0).exp(), "C": 1.0 - 1.0 / count,
            "paths": count, "verdict": verdict, "rule": rule,
        })
    };
    check(question("a"), expected(1, "prime", "evidence"));
    check(question("a c"), expected(2, "throttle", "two-paths"));
    check(question("a b c"), expected(3, "block", "paths"));
    check(
        question("c"),
        json!({
            "branches": [
                {"id": "a", "weight": 1, "sibling": false},
                {"id": "b", "weight": 1, "sibling": false},
                {"id": "c", "weight": 1, "sibling": false},
            ],
            "T": {"a": {"a": 1}, "b": {"b": 1}, "c": {"c": 1}},
            "E_b": {"a": 0, "b": 0, "c": 0.02},
        }),
    );
}

#[test]
fn weight_falls_with_distance_and_branches_do_not_mix() {
    // a's walk goes to c by 0.8 / 4 = 0.2 and from there to d by another 0.2; the step to b, a branch of its own, is lost.
    // b's goes to d by 0.8 * 0.5 / 4 = 0.1. c's report is six hours old, d's by an unknown rule: each counts half.
    let question = |kappa: Value| {
        json!({
            "ego": "me",
            "vouches": vouches("me>a me>b a>c c>d a>b b>d=0.5"),
            "reports": [
                {"by": "c", "age_s": 6 * HOUR_S, "evidence": "handshake", "rule_known": true},
                {"by": "d", "age_s": 0, "evidence": "handshake", "rule_known": false},
            ],
            "params": {"kappa": kappa, "h": 1, "what nobody knows": [1]},
        })
    };
    check(
        question(Value::Null),
        json!({
            "T": {"a": {"a": 1, "c": 0.2, "d": 0.04}, "b": {"b": 1, "d": 0.1}},
            "e": {"c": Q0 / 2.0, "d": Q0 / 2.0},
            // Both are more than kappa.
            "E_b": {"a": 0.02, "b": 0.02}, "E": 0.04, "paths": 2, "verdict": "throttle", "rule": "two-paths",
        }),
    );
    // With a wide kappa nothing is cut: (0.2 + 0.04) q0/2 and 0.1 q0/2, less than half of kappa together.
    let (a, b) = (0.24 * Q0 / 2.0, 0.1 * Q0 / 2.0);
    check(
        question(json!(0.2)),
        json!({
            "E_b": {"a": a, "b": b}, "E": a + b, "S": 1.0 - (-(a + b) / 0.4).exp(),
            "C": 1.0 - (a * a + b * b) / ((a + b) * (a + b)),
            "kappa": 0.2, "paths": 2, "verdict": "clear", "rule": "none",
        }),
    );
}

#[test]
fn shares_are_made_without_ego_and_without_who_is_muted() {
    // f vouches for six; without me and m these are four, so each has 0.8 / 4. g vouches for eight: 0.8 / 8.
    check(
        json!({
            "ego": "me",
            "vouches": vouches(
                "me>f me>g=0.5 f>me f>m f>p f>q f>r f>s g>1 g>2 g>3 g>4 g>5 g>6 g>7 g>p m>z"
            ),
            "muted": ["m"],
            "reports": reports("m me z"),
        }),
        json!({
            "branches": [
                {"id": "f", "weight": 1, "sibling": false}, {"id": "g", "weight": 0.5, "sibling": false},
            ],
            "T": {"f": {"f": 1, "p": 0.2, "q": 0.2, "m": null, "z": null}, "g": {"g": 0.5, "1": 0.05, "p": 0.05}},
            "E": 0, "paths": 0, "verdict": "clear",
        }),
    );
}

#[test]
fn the_first_visit_counts_and_own_vouches_do_not() {
    // To x at once, or once round by y: 0.2 + 0.2 * 0.2 * 0.2. Whom x vouches for does not matter for x.
    let expected = json!({"T": {"a": {"a": 1, "x": 0.208, "y": 0.2}}});
    check(
        json!({"ego": "me", "vouches": vouches("me>a a>x a>y y>a")}),
        expected.clone(),
    );
    check(
        json!({"ego": "me", "vouches": vouches("me>a a>x a>y y>a x>x x>z x>w")}),
        json!({"T": {"a": {"x": 0.208, "z": 0.2 * 0.2 + 0.2 * 0.2 * 0.2 * 0.2}}, "q": {"w": Q0}}),
    );
    // Five vouches away from me is the end: 0.2^4.
    check(
        json!({"ego": "me", "vouches": vouches("me>a a>1 1>2 2>3 3>4 4>5"), "reports": reports("5")}),
        json!({"T": {"a": {"3": 0.008, "4": 0.0016, "5": null}}, "E": 0, "paths": 0}),
    );
    check(
        json!({
            "ego": "me", "vouches": vouches("me>a a>1 1>2 2>3"),
            "params": {"hops": 2, "alpha": 0.5, "W0": 2},
        }),
        // 0.5 / 2 a step, two steps.
        json!({"T": {"a": {"1": 0.25, "2": 0.0625, "3": null}}}),
    );
}

#[test]
fn first_hand_experience_makes_the_quality() {
    // r = (2 + a) / (3 + a + 5b), q = (r - 0.3) / 0.7.
    check(
        json!({
            "ego": "me", "vouches": vouches("me>a me>b me>c"), "reports": reports("a b c"),
            "experience": {
                "a": {"a": 3, "b": 0},  // 5/6
                "b": {"a": 2, "b": 1},  // 4/10
                "c": {"b": 1},          // 2/8, below 0.3
                "d": {"a": 10, "b": 1}, // 12/18
            },
        }),
        json!({
            "q": {"a": 16.0 / 21.0, "b": 1.0 / 7.0, "c": 0, "d": Q0},
            "e": {"a": 16.0 / 21.0, "b": 1.0 / 7.0, "c": 0},
            // A bad record shrinks what can be said at most: by (1/7) / (11/21) = 3/11. More than a newcomer's makes it no
            // larger. b's quality is below 1/4, so it is the end of no way.
            "E_b": {"a": 0.02, "b": 0.02 * 3.0 / 11.0, "c": 0},
            "E": 0.02 * 14.0 / 11.0, "paths": 1, "verdict": "prime", "rule": "evidence",
        }),
    );
    check(
        json!({
            "ego": "me", "vouches": vouches("me>a me>b me>c me>d"), "reports": reports("a b c d"),
            "experience": {"a": {"a": 2, "b": 1}, "b": {"a": 2, "b": 1}}, "params": {"gate_q": 0.1},
        }),
        // 2 + 2 * 3/11 = 28/11 of kappa are over 2.5, and with a lower gate there are four ways.
        json!({"E": 0.02 * 28.0 / 11.0, "paths": 4, "verdict": "block", "rule": "paths"}),
    );
}

#[test]
fn a_sibling_blocks_alone_and_nobody_through_it() {
    let question = |by| {
        json!({
            "ego": "me", "vouches": vouches("me>f me>s=0.7 s>x"), "siblings": ["s", "t"], "reports": reports(by),
        })
    };
    check(
        question("t"),
        json!({
            "branches": [
                {"id": "f", "sibling": false}, {"id": "s", "weight": 0.7, "sibling": true},
                {"id": "t", "weight": 1, "sibling": true},
            ],
            "E": 0.02, "paths": 1, "verdict": "block", "rule": "sibling",
        }),
    );
    check(
        question("s"),
        json!({"E": 0.014, "verdict": "block", "rule": "sibling"}),
    );
    // 0.7 * 0.2 * q0 is more than the branch's 0.7 kappa.
    check(
        question("x"),
        json!({"T": {"s": {"x": 0.14}}, "E": 0.014, "verdict": "prime", "rule": "evidence"}),
    );
    let mut doubted = question("s");
    doubted["experience"] = json!({"s": {"a": 2, "b": 1}});
    check(doubted, json!({"q": {"s": 1.0 / 7.0}, "verdict": "clear"}));
    let mut spoofed = question("s");
    spoofed["reports"][0]["evidence"] = json!("spoofable");
    check(spoofed, json!({"e": {"s": 0}, "E": 0, "verdict": "clear"}));
    let mut muted = question("s");
    muted["muted"] = json!(["s"]);
    check(muted, json!({"verdict": "clear", "paths": 0}));
}

#[test]
fn strangers_prime_together_and_are_no_way() {
    check(
        json!({
            "ego": "me", "vouches": vouches("me>f f>v"), "strangers": ["y", "z", "v"],
            "reports": reports("y z f"),
        }),
        // f reaches v, so v is no stranger; each of the two others weighs half.
        json!({
            "branches": [{"id": "f", "sibling": false}, {"id": "★", "weight": 1, "sibling": false}],
            "T": {"★": {"y": 0.5, "z": 0.5, "v": null}, "f": {"v": 0.2}},
            "E_b": {"f": 0.02, "★": 0.02}, "E": 0.04, "C": 0.5, "paths": 1, "verdict": "prime",
        }),
    );
}

#[test]
fn ways_share_nobody() {
    // x, y and z are all heard through u: one way, though each of three branches says all that it can.
    let through_one = "me>a me>b me>c a>u b>u c>u u>x u>y u>z";
    check(
        json!({"ego": "me", "vouches": vouches(through_one), "reports": reports("x y z")}),
        // 0.2 * 0.2 for each of three, from each of three branches: 0.12 q0 is over kappa.
        json!({"T": {"b": {"u": 0.2, "z": 0.04}}, "E": 0.06, "paths": 1, "verdict": "prime"}),
    );
    // One reporter whom three vouch for is one way as well; three of them are three.
    check(
        json!({"ego": "me", "vouches": vouches("me>a me>b me>c a>x b>x c>x"), "reports": reports("x")}),
        json!({"E": 0.06, "paths": 1, "verdict": "prime", "rule": "evidence"}),
    );
    check(
        json!({"ego": "me", "vouches": vouches("me>a me>b me>c a>x b>y c>z"), "reports": reports("x y z")}),
        json!({"E": 0.06, "paths": 3, "verdict": "block", "rule": "paths"}),
    );
    let with_two = json!({
        "ego": "me", "vouches": vouches("me>a me>b a>x b>y"), "reports": reports("a b x y"),
        "params": {"k": 2, "block_at": 2},
    });
    check(
        with_two,
        json!({"E": 0.04, "paths": 2, "verdict": "block", "rule": "paths"}),
    );
}

#[test]
fn kappa_grows_with_ones_branches() {
    // 6 / 200; three of six say 0.09, exactly 3 kappa. Five of weight a half are 2.5 kappa exactly.
    check(
        json!({"ego": "me", "vouches": vouches("me>1 me>2 me>3 me>4 me>5 me>6"), "reports": reports("1 2 3")}),
        json!({"kappa": 0.03, "E": 0.09, "verdict": "block"}),
    );
    let halves = "me>1=0.5 me>2=0.5 me>3=0.5 me>4=0.5 me>5=0.5";
    check(
        json!({"ego": "me", "vouches": vouches(halves), "reports": reports("1 2 3 4 5")}),
        json!({"kappa": 0.02, "E": 0.05, "paths": 5, "verdict": "block"}),
    );
    check(
        json!({"ego": "me", "vouches": vouches(halves), "reports": reports("1 2 3 4")}),
        json!({"E": 0.04, "verdict": "throttle"}),
    );
}

#[test]
fn of_all_that_one_node_says_the_best_that_is_alive_counts() {
    let report = |age_s: u64, more: Value| {
        let mut report =
            json!({"by": "a", "age_s": age_s, "evidence": "handshake", "rule_known": true});
        report
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        report
    };
    let question =
        |reports: Value| json!({"ego": "me", "vouches": vouches("me>a"), "reports": reports});
    for (reports, e) in [
        (json!([report(0, json!({}))]), Q0),
        (json!([report(12 * HOUR_S, json!({}))]), Q0 / 4.0),
        // A day is the default life, and what is over is over.
        (
            json!([report(24 * HOUR_S - 1, json!({}))]),
            Q0 * 2_f64.powf(-86_399.0 / 21_600.0),
        ),
        (json!([report(24 * HOUR_S, json!({}))]), 0.0),
        (json!([report(60, json!({"ttl_s": 60}))]), 0.0),
        (json!([report(0, json!({"ttl_s": 0}))]), 0.0),
        (
            json!([report(48 * HOUR_S, json!({"ttl_s": 604_800}))]),
            Q0 / 256.0,
        ),
        (json!([report(0, json!({"evidence": "spoofable"}))]), 0.0),
        (json!([report(0, json!({"rule_known": false}))]), Q0 / 2.0),
        // The newer, the older, the better, and the one that still lives.
        (
            json!([report(6 * HOUR_S, json!({})), report(0, json!({}))]),
            Q0,
        ),
        (
            json!([
                report(6 * HOUR_S, json!({})),
                report(0, json!({"evidence": "spoofable"}))
            ]),
            Q0 / 2.0,
        ),
        (
            json!([
                report(3 * HOUR_S, json!({})),
                report(0, json!({"rule_known": false}))
            ]),
            Q0 / 2_f64.sqrt(),
        ),
        (
            json!([
                report(9 * HOUR_S, json!({})),
                report(0, json!({"rule_known": false}))
            ]),
            Q0 / 2.0,
        ),
        (
            json!([
                report(6 * HOUR_S, json!({})),
                report(60, json!({"ttl_s": 30}))
            ]),
            Q0 / 2.0,
        ),
        (
            json!([
                report(6 * HOUR_S, json!({"family": "sip"})),
                report(0, json!({"evidence": "spoofable"}))
            ]),
            Q0 / 2.0,
        ),
    ] {
        check(question(reports), json!({"e": {"a": e}}));
    }
}

#[test]
fn what_a_page_can_cause_blocks_nobody() {
    let mut question = json!({
        "ego": "me", "vouches": vouches("me>a me>b me>c me>d"), "reports": reports("a b c"),
    });
    for report in question["reports"].as_array_mut().unwrap() {
        report["family"] = json!("web-scan");
    }
    check(
        question,
        json!({"E": 0.06, "paths": 3, "verdict": "throttle", "rule": "two-paths"}),
    );
}

#[test]
fn the_newest_vouch_holds() {
    let question = |vouches: Value| json!({"ego": "me", "now": 1_000, "vouches": vouches});
    let a = json!({"from": "me", "to": "a", "weight": 1});
    for (one, other, weight) in [
        // From me to x, then from a to x: the second of two that have no number, or the one with the higher number.
        (json!({"weight": 0.5}), json!({"weight": 1}), Some(1.0)),
        (
            json!({"weight": 0.5, "seq": 7}),
            json!({"weight": 1, "seq": 6}),
            Some(0.5),
        ),
        (
            json!({"weight": 0.5, "seq": 7}),
            json!({"weight": 0, "seq": 8}),
            None,
        ),
        (
            json!({"weight": 0, "seq": 7}),
            json!({"weight": 1, "seq": 8}),
            Some(1.0),
        ),
        (
            json!({"weight": 1, "seq": 7}),
            json!({"weight": 1, "seq": 7}),
            Some(1.0),
        ),
        // One that has ended holds all the same against what is older.
        (
            json!({"weight": 1, "seq": 7, "expires": 1_000}),
            json!({"weight": 1, "seq": 6, "expires": 2_000}),
            None,
        ),
        (
            json!({"weight": 1, "seq": 7, "expires": 1_001}),
            json!({"weight": 0, "seq": 6}),
            Some(1.0),
        ),
        (
            json!({"weight": 1, "seq": 6, "expires": 999}),
            json!({"weight": 0.5, "seq": 7}),
            Some(0.5),
        ),
    ] {
        for issuer in ["me", "a"] {
            let named = |said: &Value| {
                let mut said = said.clone();
                (said["from"], said["to"]) = (json!(issuer), json!("x"));
                said
            };
            let expected = match (issuer, weight) {
                (_, None) => json!({"T": {"a": {"a": 1, "x": null}, "x": null}}),
                ("me", Some(weight)) => {
                    json!({"T": {"a": {"a": 1, "x": null}, "x": {"x": weight}}})
                }
                (_, Some(weight)) => json!({"T": {"a": {"a": 1, "x": 0.2 * weight}}}),
            };
            check(
                question(json!([a, named(&one), named(&other)])),
                expected.clone(),
            );
            if one.get("seq").is_some() {
                check(question(json!([named(&other), a, named(&one)])), expected);
            }
        }
    }
}

#[test]
fn who_says_two_things_under_one_number_is_believed_no_longer() {
    let is = ask(&json!({
        "ego": "me",
        "vouches": [
            {"from": "me", "to": "a", "weight": 1}, {"from": "me", "to": "b", "weight": 1},
            {"from": "a", "to": "x", "weight": 1, "seq": 3}, {"from": "a", "to": "x", "weight": 0.5, "seq": 3},
        ],
        "reports": reports("a b"),
    }));
    compare(
        &is,
        &json!({"T": {"a": null, "b": {"b": 1}}, "E": 0.02, "verdict": "prime"}),
        "",
    );
    let note = is["notes"][0].as_str().unwrap();
    assert!(note.contains(r#""a" says two things about "x""#), "{note}");
}

#[test]
fn what_is_passed_over_is_noted() {
    let crowd: Vec<_> = (0..257)
        .map(|number| json!({"from": "a", "to": number.to_string(), "weight": 1}))
        .collect();
    let mut vouches = crowd.clone();
    vouches.push(json!({"from": "me", "to": "a", "weight": 0.123_44}));
    vouches.push(json!({"from": "me", "to": "b", "weight": 0.123_456}));
    vouches.push(json!({"from": "me", "to": "c", "weight": 0.000_001}));
    vouches.push(json!({"from": "me", "to": "me", "weight": 1}));
    let is = ask(&json!({"ego": "me", "vouches": vouches, "siblings": ["me"]}));
    let notes = is["notes"].to_string();
    for said in [
        r#"vouches[260], from \"me\" to \"me\""#,
        "3 of them are rounded",
        r#"\"a\" vouches for 257 nodes"#,
        "no sibling of its own",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    compare(
        &is,
        &json!({"branches": [
            {"id": "a", "weight": 0.1234}, {"id": "b", "weight": 0.1235}, {"id": "c", "weight": 0.0001},
        ]}),
        "",
    );
    // The newest 256 count: the first of all falls away.
    let share = 0.1234 * 0.8 / 256.0;
    compare(
        &is,
        &json!({"T": {"a": {"0": null, "1": share, "256": share}}}),
        "",
    );
    let empty = ask(&json!({"ego": "me"}));
    assert_eq!(empty.get("notes"), None);
}

#[test]
fn what_is_unclear_is_an_error_that_says_where() {
    let with = |more: Value| {
        let mut question = json!({"ego": "me"});
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        question.to_string()
    };
    let vouch =
        |weight: f64| with(json!({"vouches": [{"from": "a", "to": "b", "weight": weight}]}));
    let many: Vec<_> = (0..257)
        .map(|number| json!({"from": "me", "to": number.to_string(), "weight": 1}))
        .collect();
    for (text, said) in [
        ("{\n  \"ego\": 7\n}".to_owned(), "at line 2 column 10"),
        ("{\"ego\": \"me\",".to_owned(), "line 1 column 13"),
        ("[]".to_owned(), "--help"),
        ("{}".to_owned(), "missing field `ego`"),
        (
            vouch(1.5),
            "vouches[0], from \"a\" to \"b\": a weight is over 0 and at most 1",
        ),
        (vouch(-0.1), "this one is -0.1"),
        (
            with(json!({"vouches": [{"from": "a", "to": "b"}]})),
            "missing field `weight`",
        ),
        (
            with(
                json!({"vouches": [{"from": "a", "to": "b", "weight": 1}, {"from": "a", "to": "b", "weight": 1, "seq": 1}]}),
            ),
            "vouches[1], from \"a\" to \"b\": the same is said twice, once with `seq`",
        ),
        (
            with(
                json!({"vouches": [{"from": "me", "to": "b", "weight": 1, "seq": 1}, {"from": "me", "to": "b", "weight": 0, "seq": 1}]}),
            ),
            "\"me\" says two things about \"b\"",
        ),
        (
            with(json!({"vouches": many})),
            "\"me\" vouches for 257 nodes: a node vouches for 256 at most",
        ),
        (
            with(json!({"reports": [{"by": "a", "age_s": -1}]})),
            "reports[0], by \"a\": age_s",
        ),
        (
            with(json!({"reports": [{"by": "a", "ttl_s": -1}]})),
            "ttl_s",
        ),
        (
            with(json!({"reports": [{"by": "a", "evidence": "hearsay"}]})),
            "unknown variant `hearsay`",
        ),
        (
            with(json!({"reports": [{"by": "a", "family": "chess"}]})),
            "family \"chess\": no such family",
        ),
        (
            with(json!({"experience": {"a": {"a": -1}}})),
            "experience of \"a\"",
        ),
        (
            with(json!({"params": {"alpha": 2}})),
            "alpha is from 0 to 1",
        ),
        (with(json!({"params": {"W0": 0}})), "W0"),
        (with(json!({"params": {"kappa": -1}})), "kappa"),
        (with(json!({"params": {"k": -1}})), "line 1"),
        (with(json!({"strangers": ["★"]})), "another name"),
    ] {
        let outcome = Question::parse(&text, NOW_S).and_then(answer);
        let error = format!("{:#}", outcome.expect_err(&text));
        assert!(error.contains(said), "{error}\n{said}\n{text}");
    }
}

#[test]
fn a_crowd_says_no_more_than_a_branch_can_and_is_heard_whole() {
    // Some friends were fooled into vouching for four hubs, each of which vouches for 200: 0.2 for a hub, and 0.8 / 200 of
    // that for each of them.
    for (fooled, verdict) in [(1, "prime"), (2, "throttle"), (3, "block")] {
        let mut vouches = vouches("me>a me>b me>c").as_array().cloned().unwrap();
        let mut reports = Vec::new();
        for friend in ["a", "b", "c"].into_iter().take(fooled) {
            for hub in 0..4 {
                let hub = format!("{friend}{hub}");
                vouches.push(json!({"from": friend, "to": hub, "weight": 1}));
                for sybil in 0..200 {
                    let sybil = format!("{hub}-{sybil}");
                    vouches.push(json!({"from": hub, "to": sybil, "weight": 1}));
                    reports.push(json!({"by": sybil, "age_s": 0, "evidence": "handshake"}));
                }
            }
        }
        let is = ask(&json!({"ego": "me", "vouches": vouches, "reports": reports}));
        let count = f64::from(u32::try_from(fooled).unwrap());
        compare(
            &is,
            &json!({
                "T": {"a": {"a0": 0.2, "a3-199": 0.2 * 0.8 / 200.0}},
                "e": {"a0-0": Q0, "a3-199": Q0},
                // The sum of all is 0.64 q0 a branch, more than kappa.
                "E": 0.02 * count, "paths": fooled, "verdict": verdict,
            }),
            "",
        );
        assert_eq!(is["e"].as_object().unwrap().len(), 800 * fooled);
    }
}

#[test]
fn names_mean_nothing() {
    let question = |a: &str, b: &str, c: &str| {
        let edge = |from: &str, to: &str| json!({"from": from, "to": to, "weight": 1});
        json!({
            "ego": "me", "vouches": [edge("me", a), edge("me", b), edge(a, c), edge(b, c), edge(c, a)],
            "reports": reports(&format!("{a} {c}")),
        })
    };
    let (one, other) = (ask(&question("a", "b", "c")), ask(&question("c", "a", "b")));
    for key in ["E", "S", "C", "paths", "verdict", "rule"] {
        assert_eq!(one[key], other[key], "{key}");
    }
    assert_eq!(one["T"]["b"]["c"], other["T"]["a"]["b"]);
}

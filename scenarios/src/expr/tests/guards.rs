//! Guards: what they are, and that they are necessary.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Env, Globals, GuardField, Keys, NOW, compile};
use crate::data::DataFiles;
use crate::event::{Event, Namespace};

/// The guards as text.
fn guards(source: &str) -> Vec<String> {
    let mut keys = Keys::default();
    let expr = compile(source, Globals::Parser, &mut keys, &DataFiles::default()).unwrap();
    let field = |field: &GuardField| match field {
        GuardField::Field(slot) => format!("{:?}.{}", keys.name(*slot).0, keys.name(*slot).1),
        GuardField::Label(name) => format!("Labels.{name}"),
    };
    let text = |values: &[Box<[u8]>]| {
        values
            .iter()
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect::<Vec<_>>()
            .join("|")
    };
    expr.guards()
        .iter()
        .map(|guard| format!("{}={}", field(&guard.field), text(&guard.values)))
        .collect()
}

fn check(source: &str, expected: &[&str]) {
    assert_eq!(guards(source), expected, "{source}");
}

#[test]
fn of_common_filters() {
    check("evt.Parsed.program == 'sshd'", &["Parsed.program=sshd"]);
    check("'sshd' == evt.Parsed.program", &["Parsed.program=sshd"]);
    check(
        "evt.Meta.log_type in ['b', 'aa', 'b'] && evt.Parsed.x != ''",
        &["Meta.log_type=b|aa"],
    );
    check(
        "evt.Meta.a == 'x' and evt.Meta.b == 'y' and evt.Line.Raw contains 'z'",
        &["Meta.a=x", "Meta.b=y"],
    );
    check(
        "(evt.Meta.a == 'x' && evt.Meta.b == 'y') && evt.Meta.c == 'z'",
        &["Meta.a=x", "Meta.b=y", "Meta.c=z"],
    );
    check("evt.Meta.a == 'x' || evt.Meta.a == 'y'", &["Meta.a=x|y"]);
    check(
        "(evt.Meta.a == 'x' || evt.Meta.a in ['y', 'z']) && true",
        &["Meta.a=x|y|z"],
    );
    check("evt.Line.Labels.type == 'nginx'", &["Labels.type=nginx"]);
    check("evt.Line.Labels.type in ['a', 'b']", &["Labels.type=a|b"]);
    check(
        "evt.Parsed.program == 'x' && UnmarshalJSON(evt.Parsed.message, evt.Unmarshaled, 'x') == nil",
        &["Parsed.program=x"],
    );
}

#[test]
fn not_of_what_proves_nothing() {
    check("evt.Meta.a == 'x' || evt.Meta.b == 'y'", &[]);
    check("evt.Meta.a != 'x'", &[]);
    check("not (evt.Meta.a == 'x')", &[]);
    check("evt.Meta.a not in ['x']", &[]);
    check("evt.Meta.a == evt.Meta.b", &[]);
    check("Lower(evt.Meta.a) == 'x'", &[]);
    check("evt.Meta.a == 'x' ? true : false", &[]);
    // It is changed before it is asked.
    check("evt.SetMeta('a', 'x') && evt.Meta.a == 'x'", &[]);
}

fn term() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec!["evt.Meta.a", "evt.Meta.b", "evt.Parsed.a"]);
    let text = prop::sample::select(vec!["'x'", "'y'", "''"]);
    prop_oneof![
        (field.clone(), text.clone()).prop_map(|(field, text)| format!("{field} == {text}")),
        (field.clone(), text.clone()).prop_map(|(field, text)| format!("{field} != {text}")),
        (field.clone(), text.clone(), text.clone())
            .prop_map(|(field, a, b)| format!("{field} in [{a}, {b}]")),
        (field.clone(), text.clone()).prop_map(|(field, text)| format!("{field} not in [{text}]")),
        (field, text).prop_map(|(field, text)| format!("{field} contains {text}")),
        Just("evt.Unmarshaled.none.x == 1".to_owned()),
        Just("true".to_owned()),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    term().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" || "))),
            inner.clone().prop_map(|inner| format!("not ({inner})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} ? {b} : false)")),
        ]
    })
}

proptest! {
    #[test]
    fn are_necessary(source in filter(), a in "[xy]?", b in "[xy]?", parsed in "[xy]?") {
        let mut keys = Keys::default();
        let expr = compile(&source, Globals::Parser, &mut keys, &DataFiles::default()).unwrap();
        let mut event = Event::new(Arc::new(keys));
        for (namespace, name, text) in
            [(Namespace::Meta, "a", &a), (Namespace::Meta, "b", &b), (Namespace::Parsed, "a", &parsed)]
        {
            if !text.is_empty() {
                event.set_by_name(namespace, name, text.as_bytes());
            }
        }
        let is_true = expr.eval_bool(&Env::of(&event, NOW)) == Ok(true);
        for guard in expr.guards() {
            let GuardField::Field(slot) = guard.field else { continue };
            let held = guard.values.iter().any(|value| **value == *event.field(slot));
            prop_assert!(held || !is_true, "{source}");
        }
    }
}

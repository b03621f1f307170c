//! Short plans: one seed gives one run, and what never must happen does not.

use super::plan::Plan;
use super::run::{Outcome, run};

fn outcome(text: &str, seeds: &[u64]) -> Outcome {
    let plan = Plan::read(text).unwrap();
    run(&plan, seeds, &mut |_, _| {}).unwrap()
}

fn plan(nodes: u64, egos: u64, net: &str, experiments: &str) -> String {
    format!(
        "about = 'test'\nnodes = [{nodes}]\negos = {egos}\n\
        policies = ['ours', 'ours block_at=2', 'naive', 'average', 'central']\n\
        {net}\n{experiments}"
    )
}

const SMALL_WORLD: &str = "[[net]]\nshape = 'small-world'\nvouches = 4";
const SHAPES: &str = "[[net]]\nshape = 'small-world'\nvouches = 4\n\
    [[net]]\nshape = 'preferential'\nvouches = 4\n\
    [[net]]\nshape = 'groups'\nvouches = 4\n\
    [[net]]\nshape = 'circles'\ncurators = 2\nfriends = 2";

fn slander(what: &str) -> String {
    format!("[[experiment]]\nkind = 'slander'\n{what}\n")
}

/// Who blocks under ours, by experiment and mesh.
fn blocked(outcome: &Outcome, policy: &str) -> Vec<u64> {
    let rows = outcome.rows.iter().filter(|row| row.policy == policy);
    rows.map(|row| row.tally.blocked).collect()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let text = plan(
        60,
        3,
        SHAPES,
        &("[[experiment]]\nkind = 'immunity'\nreported = 0.1\n".to_owned()
            + &slander("fooled = 0.1\nsybils = 50\nowned_friends = 1")),
    );
    let text = text.replace("block_at=2", "w0=6 block_at=2");
    let (first, again, other) = (
        outcome(&text, &[1, 2]),
        outcome(&text, &[1, 2]),
        outcome(&text, &[1, 3]),
    );
    assert_eq!(first.hash, again.hash);
    assert_eq!(super::as_json(&first), super::as_json(&again));
    assert_ne!(first.hash, other.hash);
}

#[test]
fn below_three_fooled_nobody_is_blocked() {
    let experiments = slander("sybils = 50")
        + &slander("fooled = 1\nsybils = 50")
        + &slander("fooled = 2\nsybils = 50")
        + &slander("fooled_friends = 2\nstrangers = 20")
        + &slander("owned = 1\nsybils = 50")
        + &slander("owned = 1\nfooled = 1\nsybils = 50")
        + &slander("owned_friends = 1")
        + &slander("owned_friends = 2")
        + &slander("owned_friends = 1\nfooled_friends = 1");
    for nodes in [6, 60] {
        let outcome = outcome(&plan(nodes, 4, SHAPES, &experiments), &[1]);
        assert_eq!(blocked(&outcome, "ours"), vec![0; 4 * 9]);
        // A count would: each name of the attacker counts.
        assert!(
            blocked(&outcome, "naive")
                .iter()
                .all(|blocked| *blocked > 0)
        );
    }
}

#[test]
fn three_friends_that_were_fooled_block() {
    let text = plan(120, 8, SMALL_WORLD, &slander("fooled_friends = 4"));
    let outcome = outcome(&text, &[1]);
    assert_eq!(blocked(&outcome, "ours"), [8]);
    assert_eq!(blocked(&outcome, "central"), [0]);
}

#[test]
fn names_behind_the_same_fooled_nodes_add_nothing() {
    // A walk's four steps come by 341 names behind one, if it is ego that was fooled.
    let experiments =
        [341, 400, 2000].map(|sybils| slander(&format!("fooled = 1\nsybils = {sybils}")));
    let outcome = outcome(&plan(100, 5, SMALL_WORLD, &experiments.concat()), &[1]);
    let rows = outcome.rows.iter().filter(|row| row.policy == "ours");
    let weights: Vec<f64> = rows.map(|row| row.tally.weight).collect();
    assert!(weights[0] > 0.0);
    for weight in &weights {
        assert!((weight / weights[1] - 1.0).abs() < 0.02, "{weights:?}");
    }
}

#[test]
fn what_all_have_seen_all_block() {
    let text = plan(
        60,
        10,
        SMALL_WORLD,
        "[[experiment]]\nkind = 'immunity'\nreported = 0.8\n[[experiment]]\nkind = 'immunity'\nreported = 2\n",
    );
    let outcome = outcome(&text, &[1, 2]);
    let ours = blocked(&outcome, "ours");
    assert!(ours[0] >= 19, "{ours:?}");
    assert_eq!(ours[1], 0, "two reports are no three ways");
    assert_eq!(blocked(&outcome, "central")[0], 20);
}

//! Every table filled to its bound, and who has to go then.

use super::*;

/// What holds of any node at any time.
pub(super) fn check(mesh: &Mesh, limits: MeshLimits) {
    assert!(mesh.shelf.len() <= limits.objects_max);
    assert!(mesh.shelf.reports() <= limits.objects_max);
    assert!(mesh.checking.len() <= limits.verifying_max + limits.objects_max);
    assert!(mesh.asking.len() <= ASKING_MAX);
    assert!(mesh.known.len() <= limits.known_max);
    assert!(mesh.muted.len() <= limits.known_max);
    assert!(mesh.own_vouches.len() <= limits.known_max);
    assert!(mesh.transports.len() <= limits.known_max);
    assert!(mesh.waiting().count() <= limits.waiting_max);
    assert!(mesh.spoken.len() <= SPOKEN_MAX);
    mesh.catching_up.check_bounds();
    mesh.pairing.check_bounds();
    mesh.shelf.check_bounds();
}

//! Whether a pod has to wait for a profile that is not on the nodes yet. Pure.

use super::{Decision, Note, Question, Scope};
use crate::{bindings::Binding, kinds::WhenNotReady};

/// Looks at a binding whose profile is not known to be on every node.
///
/// That is all that a review can know: which nodes a pod may go to, and whether just those have the profile, is found out
/// by the controller, which then opens the gate at once. So the pod is held when in doubt, and for nothing but the time
/// that this takes where there was no need.
pub(super) fn not_ready<'a>(
    question: &Question<'a>,
    container: &'a str,
    binding: &'a Binding,
    status: &'static str,
    decision: &mut Decision<'a>,
) {
    let (kind, profile) = (binding.kind, &*binding.profile);
    // An ephemeral container comes to a pod that runs.
    let gate =
        binding.when_not_ready == WhenNotReady::Gate && matches!(question.scope, Scope::Create);
    decision.notes.push(if !gate {
        Note::NotInstalled { container, kind, profile, status }
    } else if question.pod.names_its_node() {
        Note::NotGated { container, kind, profile, status }
    } else {
        decision.gated = true;
        Note::Gated { container, kind, profile, status }
    });
}

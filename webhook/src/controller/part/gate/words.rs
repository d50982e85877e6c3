//! What a pod's Events say of its gate. Pure.

use profile::pod::PROFILE_NOT_READY;

use super::judge::{Reason, Wait};
use crate::controller::{
    key::ProfileKey,
    outbox::{About, News},
};

/// Why a pod waits.
pub(super) fn keeps(about: About, wait: &Wait) -> News {
    let (warning, reason, note) = match wait {
        Wait::NoNode => {
            let note = "no node that is ready meets what the pod asks for by nodeSelector, nodeAffinity and \
                        tolerations: it waits until there is one, and until that has the profiles";
            (true, "NoNodeForProfile", note.to_owned())
        }
        Wait::Missing { profile, node, lacking, nodes } => {
            let of = format!("{lacking} of {nodes} nodes that the pod may go to");
            (false, "ProfileNotReady", format!("waits until {profile} is on {of}, such as {node}"))
        }
        Wait::Failed { profile, node, message } => {
            let note =
                format!("{profile} cannot be installed on node {node}, which the pod may go to");
            let cause = if message.is_empty() { "" } else { ": " };
            (true, "ProfileFailed", format!("{note}{cause}{message}"))
        }
    };
    News { about, warning, reason, action: "Gate", note }
}

/// Why a pod waits no more; nothing is said of one whose profiles have come.
pub(super) fn opens(about: About, reason: &Reason, gone: &[ProfileKey]) -> Option<News> {
    let (warning, word, note) = match (reason, gone) {
        (Reason::Gone(_), _) | (_, [_, ..]) => {
            let gone: Vec<_> = gone.iter().map(ToString::to_string).collect();
            let gone = gone.join(", ");
            let note = format!(
                "{gone} will not come, being deleted or disabled: the pod waits for it no more, and where a node does \
                 not have it the container cannot be created"
            );
            (true, "ProfileGone", note)
        }
        (Reason::Ready, []) => return None,
        (Reason::NotAsked, []) => {
            let note =
                format!("no ProfileBinding asks for {PROFILE_NOT_READY}: the pod waits no more");
            (false, "GateOpened", note)
        }
        (Reason::SwitchedOff, []) => {
            let note = "bindings are switched off in the namespace: the pod waits no more";
            (false, "GateOpened", note.to_owned())
        }
    };
    Some(News { about, warning, reason: word, action: "OpenGate", note })
}

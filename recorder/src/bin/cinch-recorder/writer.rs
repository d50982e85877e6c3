//! Writes profiles and what there is to say of recordings: to a cluster, or to a folder.

use crate::{
    tracker::{Moment, Note, Outcome, Publication, Recording, Report},
    violations::Occurrence,
};

pub(crate) use cluster::Cluster;
pub(crate) use files::Files;

mod cluster;
mod files;

/// Where profiles go.
#[derive(Clone, Debug)]
pub(crate) enum Writer {
    Cluster(Box<Cluster>),
    Files(Files),
}

impl Writer {
    /// Writes a profile.
    pub(crate) async fn publish(&self, publication: &Publication) -> Outcome {
        match self {
            Self::Cluster(cluster) => cluster.publish(publication).await,
            Self::Files(files) => files.publish(publication),
        }
    }

    /// Writes what this node has to say of a recording; gives the recording as it is then, none when it is gone.
    pub(crate) async fn report(
        &self,
        recording: &Recording,
        report: &Report,
        now: Moment,
    ) -> Result<Option<Recording>, ()> {
        match self {
            Self::Cluster(cluster) => cluster.report(recording, report, now).await,
            Self::Files(files) => files.report(recording, report, now),
        }
    }

    /// Tells of a violation, or that it goes on. How often it had happened before this process counted.
    pub(crate) async fn violation(&self, occurrence: &Occurrence) -> Result<u64, ()> {
        match self {
            Self::Cluster(cluster) => cluster.violation(occurrence).await,
            // Nobody asks for it without a cluster.
            Self::Files(_) => Ok(0),
        }
    }

    /// Tells people.
    pub(crate) async fn tell(&self, note: &Note) {
        if let Self::Cluster(cluster) = self {
            cluster.tell(note).await;
        }
    }
}

//! Makes a plan and carries it out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use profile::kinds::{ProfileState, node::NodeProfileState};

use super::{Lane, Report, Reports, kinds};
use crate::{
    backend::{Change, Changed, Failure},
    disk::File,
    key::Key,
    ledger::Entry,
    plan::{self, Cause, Found, Install, Kernel, Plan, Situation, Use, Verdict},
};

impl Lane {
    /// Makes the node have what it should. `pending` is told what is about to be done, which may take long.
    pub fn reconcile(&mut self, now: Instant, pending: &dyn Fn(Reports)) -> Reports {
        self.keep_again(now);
        let reports = self.round(now, pending);
        self.held.forget_before(now);
        reports
    }

    fn round(&mut self, now: Instant, pending: &dyn Fn(Reports)) -> Reports {
        if let Some(why) = self.backend.unavailable() {
            return self.reports(self.all_failed(&why));
        }
        let names = self.names();
        let mut found = match self.backend.observe(&names) {
            Ok(found) => found,
            Err(failure) => {
                tracing::error!(error = failure.message, "cannot see what is on the node");
                return self.reports(self.all_failed(&failure.message));
            }
        };
        self.mark_adoptable(&mut found);
        let running = std::cell::OnceCell::new();
        let users = |name: &str| {
            let by_kernel = running.get_or_init(|| self.backend.running()).contains(name);
            match self.users.as_ref().map(|users| users.by(self.mechanism(), name)) {
                _ if by_kernel => Use::By(vec!["a process on the node".to_owned()]),
                None => Use::Unknown,
                Some(used) => used,
            }
        };
        let plan = plan::plan(&Situation {
            wanted: &self.wanted,
            complete: self.is_complete(),
            found: &found,
            ledger: &self.ledger.entries,
            users: &users,
            held: &self.held.now(now),
        });
        let verdicts = self.carry_out(plan, now, pending);
        self.reports(verdicts)
    }

    /// The names that matter.
    fn names(&self) -> BTreeSet<Box<str>> {
        let wanted = self.wanted.iter().filter(|(_, w)| w.state == ProfileState::Enabled);
        let wanted = wanted.map(|(key, _)| &key.name);
        wanted.chain(self.ledger.entries.keys()).cloned().collect()
    }

    /// Looks whether what is there, and is not in the ledger, can be taken over.
    fn mark_adoptable(&mut self, found: &mut BTreeMap<Box<str>, Found>) {
        for (name, found) in found {
            if self.ledger.entries.contains_key(name) || !matches!(found.file, File::Content(_)) {
                continue;
            }
            let mut keys = kinds(self.mechanism()).map(|kind| Key { kind, name: name.clone() });
            let wanted = keys.find(|key| self.wanted.contains_key(key));
            if let Some(text) = wanted.and_then(|key| self.text(&key)) {
                found.adoptable = self.backend.adoptable(name, &text);
            }
        }
    }

    fn carry_out(
        &mut self,
        plan: Plan,
        now: Instant,
        pending: &dyn Fn(Reports),
    ) -> BTreeMap<Key, Verdict> {
        let Plan { install, remove, mut verdicts } = plan;
        if install.is_empty() && remove.is_empty() {
            self.save();
            return verdicts;
        }
        let before: BTreeMap<_, _> = install
            .keys()
            .map(|name| (name.clone(), self.ledger.entries.get(name).cloned()))
            .collect();
        let mut change =
            Change { install: BTreeMap::new(), remove: remove.keys().cloned().collect() };
        let mut failures = BTreeMap::new();
        for (name, Install { key, digest, .. }) in &install {
            let Some(text) = self.text(key) else {
                let failure = Failure::passing("the copy of the object cannot be read");
                failures.insert(name.clone(), failure);
                continue;
            };
            change.install.insert(name.clone(), text);
            let entry = Entry {
                key: key.clone(),
                digest: *digest,
                generation: self.wanted.get(key).and_then(|wanted| wanted.generation),
                fingerprint: before[name].as_ref().and_then(|e| e.fingerprint.clone()),
            };
            self.ledger.entries.insert(name.clone(), entry);
        }
        // Without it on the disk that a file is ours, a new one is not made.
        if let Err(error) = self.ledger.save() {
            let failure = Failure::from(error);
            for (name, entry) in &before {
                if entry.is_none() && change.install.remove(name).is_some() {
                    failures.insert(name.clone(), failure.clone());
                }
            }
        }
        pending(self.reports(verdicts.clone()));
        let started = Instant::now();
        let Changed { installed, removed } = self.backend.change(&change);
        let took = started.elapsed();
        let mut fingerprints = BTreeMap::new();
        for (name, result) in installed {
            match result {
                Ok(fingerprint) => drop(fingerprints.insert(name, fingerprint)),
                Err(failure) => drop(failures.insert(name, failure)),
            }
        }
        for (name, fingerprint) in fingerprints {
            let Some(Install { key, cause, .. }) = install.get(&name) else { continue };
            verdicts.insert(key.clone(), self.installed(&name, key, *cause, fingerprint, took));
        }
        for (name, failure) in failures {
            let Some(install) = install.get(&name) else { continue };
            let entry = before.get(&name).cloned().flatten();
            let verdict = self.failed(&name, install, entry, &failure, now);
            verdicts.insert(install.key.clone(), verdict);
        }
        for (name, result) in removed {
            let Some(key) = remove.get(&name) else { continue };
            if let Some(verdict) = self.removed(&name, key, result, now) {
                verdicts.insert(key.clone(), verdict);
            }
        }
        self.save();
        verdicts
    }

    fn installed(
        &mut self,
        name: &str,
        key: &Key,
        cause: Cause,
        fingerprint: Option<String>,
        took: Duration,
    ) -> Verdict {
        if let Some(entry) = self.ledger.entries.get_mut(name) {
            entry.fingerprint = fingerprint;
        }
        self.held.release(name);
        self.texts.remove(key);
        self.took.insert(key.clone(), took);
        self.metrics.installed(self.mechanism(), cause, took);
        match cause {
            Cause::Drift => tracing::warn!(profile = %key, "changed by somebody else, put back"),
            Cause::New | Cause::Changed => tracing::info!(profile = %key, ?cause, "installed"),
        }
        let generation = self.wanted.get(key).and_then(|wanted| wanted.generation);
        Verdict { state: NodeProfileState::Installed, generation, message: None }
    }

    fn failed(
        &mut self,
        name: &str,
        install: &Install,
        before: Option<Entry>,
        failure: &Failure,
        now: Instant,
    ) -> Verdict {
        self.held.fail(name, install.digest, failure, now);
        self.metrics.failed(self.mechanism(), failure.refused);
        let stays = before.as_ref().filter(|_| install.stays);
        let verdict = Verdict::failed_beside(failure.message.clone(), stays);
        let mechanism = self.mechanism();
        tracing::error!(profile = name, %mechanism, error = failure.message, "not installed");
        match before {
            Some(entry) => drop(self.ledger.entries.insert(name.into(), entry)),
            // A part of it may be there, and nobody else would take that away.
            None if self.is_something_there(name) => {}
            None => drop(self.ledger.entries.remove(name)),
        }
        verdict
    }

    fn is_something_there(&mut self, name: &str) -> bool {
        let found = self.backend.observe(&[name.into()].into());
        found
            .unwrap_or_default()
            .values()
            .any(|found| found.file != File::Absent || matches!(found.kernel, Kernel::Loaded(_)))
    }

    /// What to say of a profile that should be gone; nothing when it is.
    fn removed(
        &mut self,
        name: &str,
        key: &Key,
        result: Result<(), Failure>,
        now: Instant,
    ) -> Option<Verdict> {
        let mechanism = self.mechanism();
        match result {
            Ok(()) => {
                self.ledger.entries.remove(name);
                self.held.release(name);
                self.metrics.removed(mechanism);
                tracing::info!(profile = %key, "removed");
                None
            }
            Err(failure) => {
                self.metrics.failed(mechanism, failure.refused);
                tracing::error!(profile = %key, error = failure.message, "not removed");
                let entry = self.ledger.entries.get(name);
                let generation = entry.and_then(|entry| entry.generation);
                if let Some(entry) = entry {
                    // What it stands in the way of may be gone soon.
                    let failure = Failure::passing(failure.message.clone());
                    self.held.fail(name, entry.digest, &failure, now);
                }
                let message = format!("cannot be removed: {}", failure.message);
                let state = NodeProfileState::Terminating;
                Some(Verdict { state, generation, message: Some(message) })
            }
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.ledger.save() {
            let error = daemon::error::chain(&error);
            tracing::error!(error, "the ledger on the disk is behind");
        }
    }

    fn all_failed(&self, why: &str) -> BTreeMap<Key, Verdict> {
        let wanted = self.wanted.iter().filter(|(_, w)| w.state == ProfileState::Enabled);
        wanted.map(|(key, _)| (key.clone(), Verdict::failed(why.to_owned()))).collect()
    }

    fn reports(&self, verdicts: BTreeMap<Key, Verdict>) -> Reports {
        let report = |(key, mut verdict): (Key, Verdict)| {
            if verdict.state == NodeProfileState::Installed {
                verdict.message = self.notes.get(&key).cloned();
            }
            let place = self.backend.place(&key.name);
            let took = self.took.get(&key).copied();
            (key, Report { verdict, place, took })
        };
        verdicts.into_iter().map(report).collect()
    }
}

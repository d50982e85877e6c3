//! Creates pods again and again while something else happens.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{answer::Answer, namespace::Namespace};

/// Workers that create pods, one after the other each, until the load is ended.
#[derive(Debug)]
pub struct Load {
    state: Arc<State>,
    workers: JoinSet<Result<()>>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    granted: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
}

impl Load {
    pub fn start(namespace: &Namespace, pod: &Value, workers: usize) -> Self {
        let state = Arc::new(State::default());
        let mut set = JoinSet::new();
        for _ in 0..workers {
            set.spawn(work(Arc::clone(&state), namespace.clone(), pod.clone()));
        }
        Self { state, workers: set }
    }

    /// How many pods have been created so far.
    pub fn granted(&self) -> usize {
        self.state.granted.load(Ordering::Relaxed)
    }

    /// How many requests have been answered so far.
    pub fn answered(&self) -> usize {
        self.state.answers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Ends the load and returns every answer in the order in which they came.
    pub async fn end(mut self) -> Result<Vec<Answer>> {
        self.state.ended.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker??;
        }
        let mut answers = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *answers))
    }
}

async fn work(state: Arc<State>, namespace: Namespace, pod: Value) -> Result<()> {
    while !state.ended.load(Ordering::Relaxed) {
        let answer = namespace.create_object(&pod).await?;
        if answer.status.is_success() {
            state.granted.fetch_add(1, Ordering::Relaxed);
        }
        state.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }
    Ok(())
}

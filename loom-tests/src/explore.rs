//! Exploring with loom, with a claim to have met something.
//!
//! A model that never meets the interleaving it exists for proves nothing. [`explore`] therefore runs a model over all
//! interleavings within the bound and fails unless the model says, through [`Coverage`], that it met what it is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loom::sync::Notify;

/// How often a model met what it is about, over all interleavings. Outside loom's sight.
#[derive(Debug, Default)]
pub struct Coverage(AtomicUsize);

impl Coverage {
    /// The model has met it.
    pub fn met(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The model has met it if `condition` holds.
    pub fn met_if(&self, condition: bool) {
        if condition {
            self.met();
        }
    }
}

/// Explores `model` within `LOOM_MAX_PREEMPTIONS`, and fails unless it met what `about` names.
///
/// # Panics
///
/// Where the model fails, or never met what it is about.
pub fn explore(about: &str, model: impl Fn(&Coverage) + Sync + Send + 'static) {
    run(&loom::model::Builder::new(), about, model);
}

/// As [`explore`], without a bound on preemptions.
///
/// # Panics
///
/// As [`explore`].
pub fn explore_unbounded(about: &str, model: impl Fn(&Coverage) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    run(&builder, about, model);
}

/// As [`explore`], within at most so many preemptions, where more would take hours.
///
/// # Panics
///
/// As [`explore`].
pub fn explore_within(most: usize, about: &str, model: impl Fn(&Coverage) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.map_or(most, |bound| bound.min(most)));
    run(&builder, about, model);
}

/// Something that one thread waits for and another says.
#[derive(Debug)]
pub struct Event {
    has_come: AtomicBool,
    notify: Notify,
}

impl Default for Event {
    fn default() -> Self {
        Self { has_come: AtomicBool::new(false), notify: Notify::new() }
    }
}

impl Event {
    /// It has come.
    pub fn come(&self) {
        self.has_come.store(true, Ordering::Relaxed);
        self.notify.notify();
    }

    /// Waits until it has come; loom's own wait may return early.
    pub fn wait(&self) {
        while !self.has_come.load(Ordering::Relaxed) {
            self.notify.wait();
        }
    }
}

fn run(builder: &loom::model::Builder, about: &str, model: impl Fn(&Coverage) + Sync + Send + 'static) {
    let coverage = Arc::new(Coverage::default());
    let seen = Arc::clone(&coverage);
    builder.check(move || model(&seen));
    let met = coverage.0.load(Ordering::Relaxed);
    assert!(met > 0, "no interleaving met what the model is about: {about}");
    eprintln!("met {met} times: {about}");
}

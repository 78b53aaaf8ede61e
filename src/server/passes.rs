//! One pass of the scheduler for each wake of a connection.
//!
//! A commit answers many calls at once, and each answer wakes the connection that carries it. tokio runs a
//! task that was woken last first, so the connection would write after every answer: one system call each.
//! Here a woken connection lets everything else that is ready run first, and then writes all at once.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is polled at the end of the pass in which it was woken.
pub(super) struct InPasses<F> {
    inner: Pin<Box<F>>,
    waited: bool,
}

impl<F> InPasses<F> {
    pub(super) fn new(inner: F) -> Self {
        Self { inner: Box::pin(inner), waited: false }
    }
}

impl<F: Future> Future for InPasses<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.waited = !self.waited;
        if self.waited {
            // A task that wakes itself goes to the end of the queue.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context)
    }
}

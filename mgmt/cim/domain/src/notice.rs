//! [`Notice`]: what has changed, for those who tell clients.

use crate::host_end::HostStop;
use crate::job::Job;
use crate::pool::Pool;
use crate::system::System;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Something has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A system was defined.
    SystemCreated(Box<System>),
    /// A system, its state or one of its configurations has changed.
    SystemModified {
        /// How it was.
        before: Box<System>,
        /// How it is.
        after: Box<System>,
    },
    /// A system was destroyed.
    SystemDeleted(Box<System>),
    /// The host has begun to stop, or goes on after all.
    HostModified {
        /// The stop that was under way.
        before: Option<Box<HostStop>>,
        /// The one that is.
        after: Option<Box<HostStop>>,
    },
    /// The division into pools has changed.
    PoolsModified {
        /// The pools as they were.
        before: Vec<Pool>,
        /// The pools as they are.
        after: Vec<Pool>,
    },
    /// A job has begun.
    JobCreated(Box<Job>),
    /// A job has advanced or ended.
    JobModified {
        /// How it was.
        before: Box<Job>,
        /// How it is.
        after: Box<Job>,
    },
    /// A job is forgotten.
    JobDeleted(Box<Job>),
}

/// Notices that nobody has taken yet. When nobody does, the oldest go.
#[derive(Debug, Default)]
pub(crate) struct Notices(VecDeque<Notice>);

/// Notices that wait at most. Those who take them do so after each call.
const MOST: usize = 1024;

impl Notices {
    pub(crate) fn add(&mut self, notice: Notice) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(notice);
    }

    pub(crate) fn take(&mut self) -> Option<Notice> {
        self.0.pop_front()
    }
}

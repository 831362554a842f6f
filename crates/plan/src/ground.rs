//! What a base is made of.

use std::sync::Arc;

use crate::host::HostOp;
use crate::part::Part;
use crate::passed::Passed;
use crate::slot::{Number, SlotId};

/// Verified parts, and where a builder goes on behind it.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The one that was verified last, behind those that it goes on from.
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) passed: Passed,
    pub(crate) host: Vec<HostOp>,
    pub(crate) slots: Vec<(SlotId, String)>,
    pub(crate) numbers: usize,
    pub(crate) free: Vec<SlotId>,
    pub(crate) points: Vec<String>,
    pub(crate) control: Option<SlotId>,
    pub(crate) numbered: Vec<(SlotId, Number)>,
    pub(crate) flags: u64,
    pub(crate) low: u32,
    pub(crate) stays: u32,
}

impl Ground {
    /// Number behind the last step.
    pub(crate) fn end(&self) -> usize {
        self.parts.last().map_or(0, |part| part.end())
    }
}

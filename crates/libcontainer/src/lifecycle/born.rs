//! Host steps for an init that was just born.

use libcontainer_plan::HostStep;
use libcontainer_security::{IdMaps, ProcessDir};

use crate::setup::Setup;

/// Steps for an init that was just born.
pub(super) fn born(setup: &Setup) -> Vec<HostStep> {
    let mut steps = Vec::new();
    if let Some(maps) = setup.id_maps.as_ref().map(|new| new.maps.clone()) {
        let text = format!("map {}", describe(&maps));
        steps.push(HostStep::new(text, "", move |context| maps.write(context.pid()?).map(|()| None)));
    }
    if let Some(score) = setup.oom_score_adj {
        steps.push(oom_step(score));
    }
    steps
}

pub(super) fn oom_step(score: i32) -> HostStep {
    HostStep::new(format!("write oom_score_adj {score}"), "", move |context| {
        ProcessDir::open(context.pid()?)?.write("oom_score_adj", &score.to_string()).map(|()| None)
    })
}

fn describe(maps: &IdMaps) -> String {
    let lines = |lines: &[[u32; 3]]| {
        lines.iter().map(|line| format!("{}:{}:{}", line[0], line[1], line[2])).collect::<Vec<_>>().join(",")
    };
    format!("users {} groups {}", lines(&maps.uids), lines(&maps.gids))
}

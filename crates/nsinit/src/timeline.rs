//! The start-up as text and as a drawing.

use std::time::Duration;

use libcontainer::plan::{Lane, Stamp};

/// A stretch of steps with the same text in one lane.
struct Stage<'a> {
    lane: Lane,
    text: &'a str,
    from: Duration,
    to: Duration,
}

fn grouped(stamps: &[Stamp]) -> Vec<Stage<'_>> {
    let end = stamps.last().map_or(Duration::ZERO, |stamp| stamp.at);
    let mut stages: Vec<Stage<'_>> = Vec::new();
    for lane in [Lane::Host, Lane::Child] {
        let first = stages.len();
        for stamp in stamps.iter().filter(|stamp| stamp.lane == lane) {
            if let Some(last) = stages.get_mut(first..).and_then(<[_]>::last_mut) {
                last.to = stamp.at;
                if last.text == stamp.text {
                    continue;
                }
            }
            stages.push(Stage { lane, text: &stamp.text, from: stamp.at, to: end });
        }
    }
    stages.sort_by_key(|stage| stage.from);
    stages
}

fn micros(time: Duration) -> u128 {
    time.as_micros()
}

/// One line for each stage: when it began and how long it took, in microseconds.
pub(crate) fn stages(stamps: &[Stamp]) -> String {
    let mut text = String::from("   begins    takes\n");
    for Stage { lane, text: name, from, to } in grouped(stamps) {
        let lane = if lane == Lane::Host { "host" } else { "init" };
        let (begins, takes) = (micros(from), micros(to.saturating_sub(from)));
        text += &format!("{begins:>6} µs {takes:>5} µs  {lane}  {name}\n");
    }
    text
}

/// A drawing: one row for each stage, host and init in different colours.
pub(crate) fn svg(stamps: &[Stamp]) -> String {
    const ROW: usize = 16;
    const LEFT: f64 = 420.0;
    const WIDTH: f64 = 760.0;
    let stages = grouped(stamps);
    let end = stamps.last().map_or(1.0, |stamp| stamp.at.as_secs_f64()).max(1e-9);
    let height = (stages.len() + 2) * ROW;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1240\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n"
    );
    text += &format!(
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"8\" y=\"14\">start-up, {:.0} µs; blue: host, orange: init</text>\n",
        end * 1e6
    );
    for (row, stage) in stages.iter().enumerate() {
        let y = (row + 1) * ROW + 6;
        let (x, to) =
            (LEFT + WIDTH * stage.from.as_secs_f64() / end, LEFT + WIDTH * stage.to.as_secs_f64() / end);
        let colour = if stage.lane == Lane::Host { "#3a6ea5" } else { "#e08020" };
        let name: String = stage.text.chars().take(70).collect();
        text += &format!(
            "<text x=\"{:.0}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\n",
            LEFT - 8.0,
            y + 10,
            escape(&name),
            (to - x).max(1.0),
            ROW - 4
        );
    }
    text + "</svg>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_one_purpose_are_one_stage() {
        let stamp = |lane, text: &str, at| Stamp {
            lane,
            index: 0,
            text: text.to_owned(),
            at: Duration::from_micros(at),
        };
        let stamps = [
            stamp(Lane::Host, "clone", 0),
            stamp(Lane::Child, "a", 5),
            stamp(Lane::Child, "a", 7),
            stamp(Lane::Child, "b<", 9),
        ];
        assert_eq!(stages(&stamps).lines().count(), 4);
        assert!(svg(&stamps).contains("b&lt;"));
    }
}

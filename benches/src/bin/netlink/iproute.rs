//! The program `ip`, with one batch of commands per step.
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::step::{
    COUNT, Lane, MTU, Step, behind4, behind6, first_name, host4, host6, peer_name, second_name,
};

pub(crate) struct Ip;

impl Lane for Ip {
    fn run(&mut self, step: Step) -> Result<Option<Duration>, Failure> {
        if step == Step::Find {
            return Ok(None);
        }
        let lines: String = (0..COUNT).map(|number| line(step, number) + "\n").collect();
        let start = batch("")?;
        Ok(Some(batch(&lines)?.saturating_sub(start)))
    }
}

fn batch(lines: &str) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().map_or(Ok(()), |mut input| input.write_all(lines.as_bytes()))?;
    let status = child.wait()?;
    if status.success() { Ok(start.elapsed()) } else { Err(format!("ip -batch: {status}").into()) }
}

fn line(step: Step, number: u8) -> String {
    let (first, second) = (first_name(number), second_name(number));
    match step {
        Step::Find => String::new(),
        Step::Add => format!("link add {first} type veth peer name {}", peer_name(number)),
        Step::Mtu => format!("link set dev {first} mtu {MTU}"),
        Step::Rename => format!("link set dev {first} name {second}"),
        Step::Up => format!("link set dev {second} up"),
        Step::Address4 => format!("address add {}/24 dev {second}", host4(number, 1)),
        Step::Address6 => format!("address add {}/64 dev {second} nodad", host6(number, 1)),
        Step::Route4 => format!("route add {}/24 via {}", behind4(number), host4(number, 2)),
        Step::Route6 => format!("route add {}/64 via {}", behind6(number), host6(number, 2)),
        Step::RouteDelete => format!("route del {}/24 via {}", behind4(number), host4(number, 2)),
        Step::Delete => format!("link del dev {second}"),
    }
}

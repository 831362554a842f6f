//! `/proc/PID/net/dev`: counters of a network namespace for those who may not enter it.

use crate::config::NetworkState;
use crate::existing::NetworkStats;

/// Counters of each recorded interface by its name inside, from the text of `/proc/PID/net/dev` of a process inside
/// (proc_pid_net(5)). The kernel shows it to everyone who sees the process; [`stats`](crate::stats) has to enter the namespace for
/// what is not a veth. An interface that is not in the text is left out.
#[must_use]
pub fn stats_of_table(state: &NetworkState, table: &str) -> Vec<(String, NetworkStats)> {
    let named =
        |name: &str| table.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'));
    let found = |name: &String| Some((name.clone(), counters(named(name)?)?));
    state.interfaces.iter().filter_map(|interface| found(&interface.name)).collect()
}

/// Eight numbers of what was received, eight of what was sent; the first four of each are ours.
fn counters(text: &str) -> Option<NetworkStats> {
    let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        _,
        _,
        _,
        _,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
        ..,
    ] = *numbers.as_slice()
    else {
        return None;
    };
    Some(NetworkStats {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InterfaceState;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0: 1500000    1200    3    4    5     6          7         8   250000     900   13   14   15    16      17         18
 eth01:       9       9    9    9    9     9          9         9        9       9    9    9    9     9       9          9
";

    #[test]
    fn counters_are_found_by_name() {
        let interface = |name: &str| InterfaceState { name: name.to_owned(), ..InterfaceState::default() };
        let state = NetworkState {
            interfaces: ["eth0", "eth", "face |bytes    packets errs drop"].map(interface).to_vec(),
            ..NetworkState::default()
        };
        let wanted = NetworkStats {
            rx_bytes: 1_500_000,
            rx_packets: 1200,
            rx_errors: 3,
            rx_dropped: 4,
            tx_bytes: 250_000,
            tx_packets: 900,
            tx_errors: 13,
            tx_dropped: 14,
        };
        assert_eq!(stats_of_table(&state, TABLE), [("eth0".to_owned(), wanted)]);
        assert_eq!(stats_of_table(&state, "eth0: 1 2 3"), []);
    }
}

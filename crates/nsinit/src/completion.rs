//! `completion`: scripts by which shells complete command lines.

use clap::{Command, CommandFactory};
use clap_complete::{generate, shells};

use crate::arguments::{Cli, Shell};
use crate::failure::Outcome;
use crate::output;

#[inline(never)]
pub(crate) fn run(shell: Shell) -> Outcome {
    output::bytes(&script(shell))?;
    Ok(0)
}

/// Made in memory: clap_complete panics if what it writes to fails.
fn script(shell: Shell) -> Vec<u8> {
    let (mut script, mut command) = (Vec::new(), for_users());
    let name = command.get_name().to_owned();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
    }
    script
}

/// The command line without what is hidden: not all shells' scripts leave that out.
fn for_users() -> Command {
    let whole = Cli::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("nsinit")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .args(whole.get_arguments())
        .subcommands(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands where a script names a command.
    fn named(shell: Shell, command: &str) -> String {
        match shell {
            Shell::Bash => format!("nsinit,{command})"),
            Shell::Zsh => format!("({command})\n"),
            Shell::Fish => format!("-a \"{command}\""),
        }
    }

    #[test]
    fn scripts_know_all_commands_and_their_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).unwrap();
            let mut whole = Cli::command();
            whole.build();
            for command in whole.get_subcommands().filter(|command| command.get_name() != "help") {
                let name = command.get_name();
                assert_eq!(script.contains(&named(shell, name)), !command.is_hide_set(), "{shell:?}: {name}");
                for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(script.contains(option), "{shell:?}: {name} --{option}");
                }
            }
        }
    }
}

//! The command line, as containerd writes it for every shim: flags of Go, and a command behind them.

use crate::trouble::Trouble;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// `start`: make a shim, or find that of the pod, and tell its address.
    Start,
    /// `delete`: end what a shim has left that is gone.
    Delete,
    /// `-v`.
    Version,
    /// `-info`: what this runtime can.
    Info,
    /// Be the shim; standard input is the socket to listen at.
    #[default]
    Serve,
}

/// What is said beside that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) namespace: String,
    pub(crate) id: String,
    pub(crate) bundle: String,
    /// containerd's own socket.
    pub(crate) address: String,
    /// The shim's socket.
    pub(crate) socket: String,
    /// A program that publishes events. Ours go by ttrpc, and it is not called.
    pub(crate) publisher: String,
    pub(crate) debug: bool,
}

impl Arguments {
    /// # Errors
    /// A flag or a command that no shim has, or no namespace or id.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Trouble> {
        let mut parsed = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-') else {
                parsed.command(&word)?;
                continue;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, value) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            parsed.flag(name, value, &mut words)?;
        }
        let is_asked = matches!(parsed.action, Action::Version | Action::Info);
        if !is_asked && (parsed.namespace.is_empty() || parsed.id.is_empty()) {
            return Err(Trouble::invalid("-namespace and -id are needed: containerd calls this program"));
        }
        Ok(parsed)
    }

    fn command(&mut self, word: &str) -> Result<(), Trouble> {
        self.action = match word {
            "start" => Action::Start,
            "delete" => Action::Delete,
            _ => return Err(Trouble::invalid(format!("no command {word:?}: there are start and delete"))),
        };
        Ok(())
    }

    fn flag(
        &mut self,
        name: &str,
        value: Option<&str>,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), Trouble> {
        match name {
            "debug" => self.debug = value != Some("false"),
            "v" | "version" => self.action = Action::Version,
            "info" => self.action = Action::Info,
            _ => {
                let place = self.place(name)?;
                let given = value.map(str::to_owned).or_else(|| words.next());
                *place = given.ok_or_else(|| Trouble::invalid(format!("-{name} needs a value")))?;
            }
        }
        Ok(())
    }

    fn place(&mut self, name: &str) -> Result<&mut String, Trouble> {
        Ok(match name {
            "namespace" => &mut self.namespace,
            "id" => &mut self.id,
            "bundle" => &mut self.bundle,
            "address" => &mut self.address,
            "socket" => &mut self.socket,
            "publish-binary" => &mut self.publisher,
            _ => return Err(Trouble::invalid(format!("no flag -{name}"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Trouble> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_those_of_go() {
        let wanted = Arguments {
            action: Action::Start,
            namespace: "k8s.io".to_owned(),
            id: "web".to_owned(),
            address: "/run/c.sock".to_owned(),
            publisher: "/usr/bin/containerd".to_owned(),
            debug: true,
            ..Arguments::default()
        };
        for line in [
            "-namespace k8s.io -address /run/c.sock -publish-binary /usr/bin/containerd -id web -debug start",
            "--namespace=k8s.io --address=/run/c.sock --publish-binary=/usr/bin/containerd --id web --debug=true start",
        ] {
            assert_eq!(parse(line).ok().as_ref(), Some(&wanted), "{line}");
        }
        assert_eq!(parse("-v").map(|parsed| parsed.action).ok(), Some(Action::Version));
        assert_eq!(parse("-info").map(|parsed| parsed.action).ok(), Some(Action::Info));
        assert_eq!(parse("-namespace n -id i").map(|parsed| parsed.action).ok(), Some(Action::Serve));
    }

    #[test]
    fn what_no_shim_has_is_refused() {
        for line in
            ["", "start", "-namespace n start", "-namespace n -id i stop", "-nonsense 1", "-namespace n -id"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

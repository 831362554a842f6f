//! The observer: a program is run and looked at, and what comes of it is the least confinement under which it does the same again.
//!
//! ```no_run
//! use std::time::Duration;
//! use libcontainer::{Config, Factory, ProcessConfig, observe};
//!
//! let config = Config::from_file("container.json".as_ref(), libcontainer::Mode::Lenient)?.0;
//! let program = || ProcessConfig::new(["server", "--once"]);
//! let limit = Some(Duration::from_secs(10));
//! let observed = observe::run(&Factory::new()?, "/run/demo", &config, program(), limit)?;
//! let draft = observe::Draft::of(&observed.seen, &config);
//! println!("{}", draft.to_json()?);
//! # Ok::<(), libcontainer::Error>(())
//! ```

mod draft;
mod files;
mod run;

pub use draft::{Draft, Tried, least};
pub use files::{Allowed, PathRule};
pub use run::{Observed, run};

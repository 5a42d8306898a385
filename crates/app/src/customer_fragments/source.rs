//! Where a gateway takes its customer fragments from: a file, a systemd credential, a descriptor or
//! the environment; and reading what is there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches};
use keysherd_base::{SecretBuffer, SecretBytes};
use keysherd_fragments::fragment_file::{FILE_BYTES_MAX, FragmentFile};

use crate::exit::Exit;
use crate::private_file;

/// The variable with the file's content.
const VARIABLE: &str = "CUSTOMER_FRAGMENTS";
/// The name of the systemd credential.
const CREDENTIAL: &str = "customer-fragments";
/// Where systemd puts credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where the fragments come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum FragmentSource {
    /// There are none.
    #[default]
    Nowhere,
    /// A file, read again on SIGHUP.
    File(PathBuf),
    /// An open descriptor, read once.
    Descriptor(u32),
    /// The variable `CUSTOMER_FRAGMENTS`, read once.
    Environment,
}

/// The flags that say where the fragments come from.
pub(crate) fn flags() -> [Arg; 2] {
    [
        Arg::new("customer-fragments")
            .long("customer-fragments")
            .value_name("FILE")
            .env("KEYSHERD_CUSTOMER_FRAGMENTS")
            .help(
                "File of customer fragments, from gen-customer-fragment; read again on SIGHUP. \
                 Without it the systemd credential customer-fragments is taken where there is one",
            ),
        Arg::new("customer-fragments-fd")
            .long("customer-fragments-fd")
            .value_name("NUMBER")
            .value_parser(clap::value_parser!(u32).range(3..))
            .conflicts_with("customer-fragments")
            .help("Open descriptor to read the customer fragments from, 3 or higher"),
    ]
}

impl FragmentSource {
    /// The source that flags, configuration file and environment name, in this order.
    pub(crate) fn choose(
        flags: &ArgMatches,
        file: Option<PathBuf>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let descriptor = flags.get_one::<u32>("customer-fragments-fd").copied();
        let flag = flags.get_one::<String>("customer-fragments").map(PathBuf::from);
        if let Some(descriptor) = descriptor {
            return Self::Descriptor(descriptor);
        }
        if let Some(path) = flag.or(file) {
            return Self::File(path);
        }
        let credential = env(CREDENTIALS_DIRECTORY).map(|dir| Path::new(&dir).join(CREDENTIAL));
        if let Some(path) = credential.filter(|path| path.exists()) {
            return Self::File(path);
        }
        if env(VARIABLE).is_some() { Self::Environment } else { Self::Nowhere }
    }

    /// What has to be readable for as long as the role runs: the directory, because a file that is
    /// replaced is another file.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => {
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
                vec![dir.unwrap_or(Path::new(".")).to_owned()]
            }
            // Where it is a file, that one; pipes and memory are open to everybody who has them.
            Self::Descriptor(number) => {
                let file = std::fs::read_link(format!("/proc/self/fd/{number}"));
                file.into_iter().filter(|path| path.is_absolute() && path.exists()).collect()
            }
            Self::Nowhere | Self::Environment => Vec::new(),
        }
    }

    /// Whether reading again can bring something else.
    pub(crate) const fn can_change(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads the fragments.
    ///
    /// # Errors
    /// What cannot be read, why, and what to do; nothing of the content.
    pub(crate) fn read(&self) -> Result<FragmentFile, String> {
        let (name, bytes) = match self {
            Self::Nowhere => return Ok(FragmentFile::default()),
            Self::File(path) => (path.display().to_string(), read_file(path)?),
            Self::Descriptor(number) => {
                let name = format!("descriptor {number}");
                // Linux shows a process its own descriptors as files.
                let file = File::open(format!("/proc/self/fd/{number}"));
                let file = file.map_err(|error| format!("{name}: {error}"))?;
                (name.clone(), read_all(file).map_err(|why| format!("{name}: {why}"))?)
            }
            Self::Environment => {
                let text = std::env::var(VARIABLE);
                let text = text.map_err(|_| format!("{VARIABLE} is not text"))?;
                (VARIABLE.to_owned(), SecretBytes::new(text.into_bytes()))
            }
        };
        FragmentFile::parse(bytes.expose()).map_err(|problem| format!("{name}: {problem}"))
    }

    /// The fragments, if all of them can be used: what `--check-config` demands.
    ///
    /// # Errors
    /// [`Exit::Configuration`].
    pub(crate) fn check(&self) -> Result<(), Exit> {
        let wrong = |why: String| Exit::Configuration(format!("customer-fragments: {why}"));
        // What can be read once only is left to the gateway.
        if matches!(self, Self::Descriptor(_)) {
            return Ok(());
        }
        self.read().and_then(|file| file.sound().map_err(|problem| problem.text)).map_err(wrong)?;
        Ok(())
    }
}

/// The content of a file with secrets, if only we can change it and not everybody can read it.
pub(crate) fn read_file(path: &Path) -> Result<SecretBytes, String> {
    let file = private_file::open(path)?;
    read_all(file).map_err(|why| format!("{}: {why}", path.display()))
}

fn read_all(mut file: File) -> Result<SecretBytes, String> {
    let mut bytes = SecretBuffer::with_capacity(8 * 1024);
    let mut piece = zeroize::Zeroizing::new([0; 4 * 1024]);
    loop {
        let count = file.read(&mut *piece).map_err(|error| error.to_string())?;
        bytes.extend(piece.get(..count).unwrap_or_default());
        if bytes.len() > FILE_BYTES_MAX {
            return Err(format!("more than {FILE_BYTES_MAX} bytes"));
        }
        if count == 0 {
            return Ok(bytes.finish());
        }
    }
}

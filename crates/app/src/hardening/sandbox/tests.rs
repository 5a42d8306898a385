//! Attacks from inside the sandbox. It holds for the thread that entered it, so each test enters it
//! in a thread of its own.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;

use rustix::net::{AddressFamily, SocketType, socket};

use super::*;

/// Runs `attack` in a sandbox around a directory, and gives its result and the directory.
fn inside<T: Send>(attack: impl FnOnce(&Path) -> T + Send) -> T {
    let home = tempfile::tempdir().unwrap();
    let confinement = Confinement {
        writable: vec![home.path().to_owned()],
        sandboxed: true,
        ..Confinement::default()
    };
    std::thread::scope(|scope| {
        let run = || {
            enter(&confinement).unwrap();
            attack(home.path())
        };
        scope.spawn(run).join().unwrap()
    })
}

#[test]
fn a_pipe_that_a_setting_names_is_read() {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let path = Path::new("/proc/self/fd").join(reader.as_raw_fd().to_string());
    writer.write_all(b"secret").unwrap();
    drop(writer);
    let confinement =
        Confinement { readable: vec![path.clone()], sandboxed: true, ..Confinement::default() };
    let read = std::thread::scope(|scope| {
        let inside = || {
            enter(&confinement).unwrap();
            fs::read(&path)
        };
        scope.spawn(inside).join().unwrap()
    });
    assert_eq!(read.unwrap(), b"secret");
}

#[test]
fn a_role_works_in_its_directory_and_on_its_sockets() {
    inside(|home| {
        fs::create_dir(home.join("store")).unwrap();
        fs::write(home.join("store/new"), "value").unwrap();
        fs::rename(home.join("store/new"), home.join("store/file")).unwrap();
        assert_eq!(fs::read_to_string(home.join("store/file")).unwrap(), "value");
        fs::remove_file(home.join("store/file")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        std::thread::spawn(|| fs::read("/etc/hostname").unwrap()).join().unwrap();
    });
}

/// Drivers of databases do so where they do not find the system call, as in a static program.
#[test]
fn randomness_is_there_by_way_of_files() {
    let read = inside(|_| {
        ["/dev/random", "/dev/urandom"].map(|path| {
            let mut some = [0_u8; 1];
            fs::File::open(path).and_then(|mut file| file.read_exact(&mut some))
        })
    });
    assert!(read.iter().all(Result::is_ok), "{read:?}");
}

#[test]
fn no_other_file_is_read_or_written() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "another's").unwrap();
    // The control: without the sandbox both work.
    fs::read(&secret).unwrap();
    fs::write(outside.path().join("new"), "x").unwrap();
    let denied = inside(|home| {
        let link = home.join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        [
            fs::read(&secret).err(),
            fs::read(&link).err(),
            fs::write(&secret, "x").err(),
            fs::write(outside.path().join("newer"), "x").err(),
            fs::read_dir("/root").err(),
            fs::read("/proc/1/environ").err(),
        ]
    });
    for (at, error) in denied.into_iter().enumerate() {
        let kind = error.map(|error| error.kind());
        assert_eq!(kind, Some(std::io::ErrorKind::PermissionDenied), "attack {at}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "another's");
}

#[test]
fn no_other_program_is_started_and_no_other_memory_is_read() {
    assert!(Command::new("/bin/true").status().unwrap().success(), "the control");
    let started = inside(|_| Command::new("/bin/true").status().err());
    let kind = started.map(|error| error.kind());
    assert_eq!(kind, Some(std::io::ErrorKind::PermissionDenied));
    let refused = inside(|_| {
        let raw = socket(AddressFamily::PACKET, SocketType::RAW, None).err();
        let root = rustix::process::chroot("/").err();
        [raw, root]
    });
    assert_eq!(refused, [Some(rustix::io::Errno::PERM); 2]);
}
